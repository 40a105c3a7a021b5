//! What C code asks of the running thread.

use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::time::Duration;

use green::thread;

use crate::{alone, in_both};

#[test]
fn a_thread_knows_its_own_stack() {
    in_both("hazards::a_thread_knows_its_own_stack", |own| {
        let look = || {
            let here = 0u8;
            let (mut at, mut size) = (std::ptr::null_mut::<c_void>(), 0);
            // SAFETY: of the running thread; the first call initialises.
            unsafe {
                let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
                assert_eq!(
                    libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()),
                    0
                );
                let mut attributes = attributes.assume_init();
                libc::pthread_attr_getstack(&attributes, &mut at, &mut size);
                libc::pthread_attr_destroy(&mut attributes);
            }
            (at as usize..at as usize + size).contains(&(&raw const here as usize))
        };
        assert_eq!(green::run(look), own);
    });
}

#[test]
fn a_thread_is_itself_and_on_a_cpu() {
    in_both("hazards::a_thread_is_itself_and_on_a_cpu", |own| {
        let itself = || {
            // SAFETY: `clock` lives across the call; the thread does not end meanwhile.
            unsafe {
                assert!(libc::sched_getcpu() >= 0);
                let itself = libc::pthread_self();
                assert_eq!(libc::pthread_kill(itself, 0), 0);
                // Asked by another one.
                let lives = std::thread::spawn(move || libc::pthread_kill(itself, 0));
                assert_eq!(lives.join().unwrap(), 0);
                // From glibc 2.43 on an error for a thread that has ended.
                let mut clock = 0;
                assert_eq!(libc::pthread_getcpuclockid(itself, &mut clock), 0);
                itself
            }
        };
        let twice = move || {
            let first = itself();
            thread::sleep(Duration::from_millis(2));
            assert_eq!(first, itself());
            first
        };
        // On the hub none ends before all are spawned.
        let mut all: Vec<_> = green::run(move || {
            let all: Vec<_> = (0..10).map(|_| thread::spawn(twice)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), if own { 10 } else { 1 });
    });
}

#[test]
fn os_threads_are_started_also_without_restartable_sequences() {
    let name = "hazards::os_threads_are_started_also_without_restartable_sequences";
    let environment = [
        ("GLIBC_TUNABLES", "glibc.pthread.rseq=0"),
        ("GREEN_THREAD_LOCALS", "auto"),
    ];
    alone(name, &environment, || {
        refuse_restartable_sequences();
        let started = || std::thread::spawn(|| 7).join().unwrap();
        assert_eq!(green::run(started), 7);
    })
    .well();
}

/// As a kernel without them does; qemu is one.
fn refuse_restartable_sequences() {
    let step = |code: u32, k, jf| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf,
        k,
    };
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            libc::SYS_rseq as u32,
            1,
        ),
        step(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
            0,
        ),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program lives across the calls.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            | libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            )
    };
    if set != 0 {
        eprintln!("skipped: no seccomp here");
    }
}

#[test]
fn the_text_of_a_failed_load_is_its_own() {
    in_both("hazards::the_text_of_a_failed_load_is_its_own", |own| {
        green::run(move || {
            // SAFETY: a name that ends in a NUL byte.
            unsafe { assert!(libc::dlopen(c"/no/one".as_ptr(), libc::RTLD_NOW).is_null()) };
            let neighbour = thread::spawn_local(|| {
                // SAFETY: no arguments.
                unsafe { libc::dlerror().is_null() }
            });
            assert_eq!(neighbour.join().unwrap(), own);
            if own {
                // SAFETY: a text until the next call.
                let text = unsafe { CStr::from_ptr(libc::dlerror()) };
                assert!(text.to_str().unwrap().contains("/no/one"));
            }
        });
    });
}

/// The C library keeps the last text of an unknown number for each thread.
#[test]
fn texts_of_unknown_errors_and_signals_do_not_outlive_their_thread() {
    unsafe extern "C" {
        fn strsignal(signal: libc::c_int) -> *mut libc::c_char;
    }
    const THREADS: i32 = 1000;
    let name = "hazards::texts_of_unknown_errors_and_signals_do_not_outlive_their_thread";
    in_both(name, |_| {
        let all_ask = |ask: fn(i32)| {
            green::run(move || {
                let all: Vec<_> = (0..THREADS)
                    .map(|n| {
                        thread::spawn(move || {
                            ask(n);
                            // So that each has a stack of its own.
                            thread::sleep(Duration::from_millis(200));
                        })
                    })
                    .collect();
                all.into_iter().for_each(|one| one.join().unwrap());
            });
            // SAFETY: no arguments.
            unsafe { libc::mallinfo2() }.uordblks
        };
        all_ask(|_| ());
        let before = all_ask(|_| ());
        let after = all_ask(|n| {
            // SAFETY: any number may be asked for.
            let texts = unsafe { [strsignal(1000 + n), libc::strerror(1000 + n)] };
            assert!(texts.iter().all(|text| !text.is_null()));
        });
        let kept = after.saturating_sub(before);
        assert!(kept < 16 << 10, "{kept} bytes");
    });
}

/// Its task, what it leaves its result in, and the vector of modules: 984 bytes where that had the room that glibc gives it.
#[test]
fn a_parked_green_thread_takes_less_than_800_bytes_of_malloc() {
    const THREADS: usize = 2000;
    let name = "hazards::a_parked_green_thread_takes_less_than_800_bytes_of_malloc";
    in_both(name, |_| {
        green::run(|| {
            let all_parked = |size| -> Vec<_> {
                let builder = || thread::Builder::new().stack_size(size);
                let all: Vec<_> = (0..THREADS)
                    .map(|_| builder().spawn(thread::park).unwrap())
                    .collect();
                while !all.iter().all(|one| one.is_started()) {
                    thread::yield_now();
                }
                all
            };
            let end = |all: Vec<thread::JoinHandle<()>>| {
                all.iter().for_each(|one| one.thread().unpark());
                all.into_iter().for_each(|one| one.join().unwrap());
            };
            // The hub's lists grow here, and the next have stacks of their own.
            end(all_parked(128 << 10));
            let before = test_support::heap::in_use();
            let all = all_parked(256 << 10);
            let each = (test_support::heap::in_use() - before) / THREADS;
            end(all);
            assert!(each < 800, "{each} bytes each");
        });
    });
}

#[test]
fn whether_a_thread_may_be_cancelled_is_its_own() {
    unsafe extern "C" {
        fn pthread_setcancelstate(state: libc::c_int, old: *mut libc::c_int) -> libc::c_int;
        fn pthread_setcanceltype(kind: libc::c_int, old: *mut libc::c_int) -> libc::c_int;
    }
    in_both(
        "hazards::whether_a_thread_may_be_cancelled_is_its_own",
        |own| {
            for n in 0..10 {
                let before = thread::spawn(|| {
                    let (mut state, mut kind) = (7, 7);
                    // SAFETY: they write what was set before; 1 is "disabled" and "at once".
                    unsafe {
                        assert_eq!(pthread_setcancelstate(1, &mut state), 0);
                        assert_eq!(pthread_setcanceltype(1, &mut kind), 0);
                    }
                    (state, kind)
                });
                let expected = if own || n == 0 { (0, 0) } else { (1, 1) };
                assert_eq!(before.join().unwrap(), expected);
            }
        },
    );
}

#[test]
fn a_locale_is_its_own() {
    in_both("hazards::a_locale_is_its_own", |own| {
        green::run(move || {
            // SAFETY: a locale that is made here and never freed.
            let (mine, before) = unsafe {
                let mine = libc::newlocale(libc::LC_ALL_MASK, c"C".as_ptr(), std::ptr::null_mut());
                (mine, libc::uselocale(mine))
            };
            // SAFETY: null only asks.
            let theirs = || unsafe { libc::uselocale(std::ptr::null_mut()) as usize };
            let theirs = thread::spawn_local(theirs).join().unwrap();
            assert_eq!(theirs, if own { before as usize } else { mine as usize });
        });
    });
}

/// A robust mutex works inside the process.
#[test]
fn a_robust_mutex_is_locked_and_unlocked() {
    in_both("hazards::a_robust_mutex_is_locked_and_unlocked", |_| {
        green::run(|| {
            // SAFETY: initialised before use, and never moved.
            unsafe {
                let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
                libc::pthread_mutexattr_init(attributes.as_mut_ptr());
                libc::pthread_mutexattr_setrobust(
                    attributes.as_mut_ptr(),
                    libc::PTHREAD_MUTEX_ROBUST,
                );
                let mutexes: Vec<*mut libc::pthread_mutex_t> = (0..3)
                    .map(|_| {
                        let mutex = Box::leak(Box::new(MaybeUninit::uninit())).as_mut_ptr();
                        libc::pthread_mutex_init(mutex, attributes.as_ptr());
                        mutex
                    })
                    .collect();
                for _ in 0..3 {
                    for &mutex in &mutexes {
                        assert_eq!(libc::pthread_mutex_lock(mutex), 0);
                        thread::yield_now();
                    }
                    for &mutex in &mutexes {
                        assert_eq!(libc::pthread_mutex_unlock(mutex), 0);
                    }
                }
            }
        });
    });
}

/// By returning, and by a kill while it waits: as when an OS thread ends.
#[test]
fn a_robust_mutex_that_a_thread_holds_at_its_end_is_handed_on() {
    fn robust() -> usize {
        let mutex = Box::leak(Box::new(MaybeUninit::<libc::pthread_mutex_t>::uninit()));
        // SAFETY: initialised before use, and never moved.
        unsafe {
            let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
            libc::pthread_mutexattr_init(attributes.as_mut_ptr());
            libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST);
            libc::pthread_mutex_init(mutex.as_mut_ptr(), attributes.as_ptr());
        }
        mutex.as_mut_ptr() as usize
    }
    fn lock(mutex: usize) -> i32 {
        // SAFETY: made above.
        unsafe { libc::pthread_mutex_lock(mutex as *mut libc::pthread_mutex_t) }
    }
    fn unlock(mutex: usize) {
        // SAFETY: made above, and locked.
        unsafe {
            let mutex = mutex as *mut libc::pthread_mutex_t;
            assert_eq!(libc::pthread_mutex_consistent(mutex), 0);
            assert_eq!(libc::pthread_mutex_unlock(mutex), 0);
        }
    }
    let name = "hazards::a_robust_mutex_that_a_thread_holds_at_its_end_is_handed_on";
    in_both(name, |own| {
        if !own {
            return;
        }
        let all: Vec<usize> = (0..3).map(|_| robust()).collect();
        for kill in [false, true] {
            let held = all.clone();
            let (begun, begins) = green::sync::mpsc::channel();
            let holder = thread::spawn(move || {
                assert!(held.iter().all(|&mutex| lock(mutex) == 0));
                begun.send(()).unwrap();
                thread::sleep(Duration::from_millis(if kill { 100_000 } else { 20 }));
            });
            begins.recv().unwrap();
            // One waits for it already.
            let first = all[0];
            let waiter = std::thread::spawn(move || {
                let locked = lock(first);
                unlock(first);
                locked
            });
            std::thread::sleep(Duration::from_millis(5));
            if kill {
                holder.kill().unwrap();
            }
            assert_eq!(holder.join().is_err(), kill);
            assert_eq!(waiter.join().unwrap(), libc::EOWNERDEAD);
            let second = all[1];
            let later = thread::spawn(move || {
                let locked = lock(second);
                unlock(second);
                locked
            });
            assert_eq!(later.join().unwrap(), libc::EOWNERDEAD);
            assert_eq!(lock(all[2]), libc::EOWNERDEAD);
            unlock(all[2]);
            assert!(all.iter().all(|&mutex| lock(mutex) == 0));
            all.iter().for_each(|&mutex| {
                // SAFETY: made above, and locked.
                unsafe { libc::pthread_mutex_unlock(mutex as *mut libc::pthread_mutex_t) };
            });
        }
    });
}

#[test]
fn a_handler_of_a_signal_sees_the_green_thread_s_values() {
    in_both(
        "hazards::a_handler_of_a_signal_sees_the_green_thread_s_values",
        |own| {
            use std::cell::Cell;
            use std::sync::atomic::{AtomicU32, Ordering};
            thread_local!(static VALUE: Cell<u32> = const { Cell::new(0) });
            static SEEN: AtomicU32 = AtomicU32::new(0);
            extern "C" fn handler(_: i32) {
                SEEN.store(VALUE.get(), Ordering::Relaxed);
            }
            green::run(move || {
                // SAFETY: the handler only reads and stores; hubs take this signal.
                unsafe { libc::signal(libc::SIGPROF, handler as *const () as usize) };
                VALUE.set(7);
                thread::spawn_local(|| VALUE.set(8)).join().unwrap();
                // SAFETY: the running OS thread's.
                unsafe { libc::raise(libc::SIGPROF) };
                assert_eq!(SEEN.load(Ordering::Relaxed), if own { 7 } else { 8 });
            });
        },
    );
}

#[test]
fn memory_goes_from_one_to_another() {
    in_both("hazards::memory_goes_from_one_to_another", |_| {
        let makers: Vec<_> = (0..50_usize)
            .map(|n| {
                thread::spawn(move || {
                    let made: Vec<Vec<u8>> = (0..200).map(|m| vec![n as u8; m * 37 + 1]).collect();
                    thread::yield_now();
                    made
                })
            })
            .collect();
        for (n, maker) in makers.into_iter().enumerate() {
            let made = maker.join().unwrap();
            thread::spawn(move || assert!(made.iter().all(|m| m[0] == n as u8)))
                .join()
                .unwrap();
        }
    });
}

#[test]
fn on_the_os_threads_thread_locals_the_running_green_thread_is_known() {
    in_both(
        "hazards::on_the_os_threads_thread_locals_the_running_green_thread_is_known",
        |_| {
            use greenhub::green_thread::{current, spawn, yield_now};
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    spawn(|| {
                        for _ in 0..200 {
                            yield_now();
                            let here = current().id();
                            assert_eq!(greenhub::on_os_thread(|| current().id()), here);
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|t| t.join().unwrap());
        },
    );
}
