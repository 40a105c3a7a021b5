//! What a green thread leaves behind when it has ended: nothing.

use std::cell::Cell;
use std::{fs, mem};

use green::pool::GreenPool;
use green::thread::{self, Inherited};

use test_support::child::alone;

green::thread_local! {
    static PLAIN: Cell<u64> = const { Cell::new(0) };
    static BOXED: Box<Cell<u64>> = Box::new(Cell::new(0));
}

/// Uses values when it is dropped.
struct Late(u64);

impl Drop for Late {
    fn drop(&mut self) {
        PLAIN.set(self.0);
        BOXED.with(|cell| cell.set(self.0));
    }
}

static HANDED_DOWN: Inherited<Late> = Inherited::new();

const THREADS: u64 = 100_000;

/// Bytes of resident memory.
fn resident() -> u64 {
    let counts = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = counts.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Memory stays flat over so many threads of `run`, which is told how many.
fn is_flat(threads: u64, run: impl Fn(u64)) {
    run(threads / 5);
    let before = resident();
    run(threads);
    let grown = resident().saturating_sub(before);
    assert!(
        grown < 32 * threads,
        "{grown} bytes more after {threads} threads"
    );
}

#[test]
fn values_of_a_green_thread_leave_nothing_behind() {
    let name = "thread_memory::values_of_a_green_thread_leave_nothing_behind";
    alone(name, &[("GREEN_HUBS", "1")], || {
        is_flat(THREADS, |count| {
            green::run(move || {
                for n in 0..count {
                    let set = move || {
                        PLAIN.set(n);
                        BOXED.with(|cell| cell.set(n));
                    };
                    thread::spawn(set).join().unwrap();
                }
            });
        });
    })
    .well();
}

#[test]
fn values_that_the_last_destructors_make_leave_nothing_behind() {
    let name = "thread_memory::values_that_the_last_destructors_make_leave_nothing_behind";
    alone(name, &[("GREEN_HUBS", "1")], || {
        is_flat(THREADS, |count| {
            green::run(move || {
                for n in 0..count {
                    drop(thread::spawn(move || Late(n)));
                    drop(thread::spawn(move || mem::forget(HANDED_DOWN.set(Late(n)))));
                    drop(green::future::spawn(async move { Late(n) }));
                    thread::yield_now();
                }
            });
        });
    })
    .well();
}

/// Bytes that are allocated.
#[cfg(target_env = "gnu")]
fn allocated() -> usize {
    // SAFETY: it only reads what the allocator counts.
    unsafe { libc::mallinfo2() }.uordblks
}

/// More than a hub keeps stacks of: the memory of the others is given back, and what else belonged to them.
#[cfg(target_env = "gnu")]
#[test]
fn crowds_leave_nothing_behind() {
    const CROWD: usize = 2000;
    const CROWDS: usize = 5;
    let name = "thread_memory::crowds_leave_nothing_behind";
    alone(name, &[("GREEN_HUBS", "1")], || {
        let run = |crowds| {
            green::run(move || {
                for _ in 0..crowds {
                    let crowd: Vec<_> = (0..CROWD)
                        .map(|_| thread::spawn(thread::yield_now))
                        .collect();
                    crowd.into_iter().for_each(|one| one.join().unwrap());
                }
            });
        };
        run(1);
        let before = allocated();
        run(CROWDS);
        let grown = allocated().saturating_sub(before);
        assert!(
            grown < 8 * CROWD * CROWDS,
            "{grown} bytes more after {CROWDS} crowds"
        );
    })
    .well();
}

#[test]
fn tasks_of_a_pool_leave_nothing_behind() {
    let name = "thread_memory::tasks_of_a_pool_leave_nothing_behind";
    alone(name, &[("GREEN_HUBS", "1")], || {
        is_flat(THREADS, |count| {
            green::run(move || {
                let pool = GreenPool::new(16);
                for _ in 0..count {
                    drop(pool.spawn(|| ()));
                }
                pool.waitall();
            });
        });
    })
    .well();
}

#[test]
fn os_threads_that_use_green_to_their_last_leave_nothing_behind() {
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            thread::yield_now();
        }
    }
    std::thread_local! { static LATE: Late = const { Late }; }
    let name = "thread_memory::os_threads_that_use_green_to_their_last_leave_nothing_behind";
    alone(name, &[], || {
        is_flat(THREADS / 10, |count| {
            for n in 0..count {
                let set = move || {
                    LATE.with(|_| ());
                    PLAIN.set(n);
                    BOXED.with(|cell| cell.set(n));
                };
                std::thread::spawn(set).join().unwrap();
            }
        });
    })
    .well();
}
