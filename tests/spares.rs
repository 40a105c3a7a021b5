//! A green thread that starts on the coroutine that another left behind: it must not notice.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use greenhub::green_thread::{self, Builder, JoinHandle, sleep, spawn_local, yield_now};
use greenhub::{Config, Killed, report};

const LIMIT: Duration = Duration::from_secs(30);

/// Runs `body` as a green thread on a hub of its own: nobody else takes its
/// spares.
fn green<T: Send + 'static>(
    name: &str,
    hub: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| Config::new().hubs(6).apply().unwrap());
    test_support::bounded(name, LIMIT, || {
        let outer = Builder::new().hub(hub).spawn(body).unwrap();
        outer.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Address of a frame of the running green thread, in pages.
#[inline(never)]
fn page() -> usize {
    let local = 0u8;
    &raw const local as usize / 4096
}

/// Ends quietly with a panic.
fn fail() -> usize {
    resume_unwind(Box::new("failed"))
}

fn is_killed<T>(ended: green_thread::Result<T>) -> bool {
    ended.is_err_and(|payload| payload.is::<Killed>())
}

#[test]
fn a_thread_starts_on_the_stack_that_was_used_last() {
    green("used last", 0, || {
        let first = spawn_local(page).join().unwrap();
        for _ in 0..100 {
            assert_eq!(spawn_local(page).join().unwrap(), first);
        }
        // Of two, the one that ended last.
        let both: [JoinHandle<usize>; 2] = [1, 2].map(|times| {
            spawn_local(move || {
                (0..times).for_each(|_| yield_now());
                page()
            })
        });
        let [one, two] = both.map(|thread| thread.join().unwrap());
        assert_ne!(one, two);
        assert_eq!(spawn_local(page).join().unwrap(), two);
    });
}

#[test]
fn however_the_thread_before_it_ended() {
    green("endings", 1, || {
        for _ in 0..3 {
            assert!(spawn_local(fail).join().is_err());
            assert!(!green_thread::panicking());
            let asleep = spawn_local(|| sleep(Duration::MAX));
            yield_now();
            asleep.kill().unwrap();
            assert!(is_killed(asleep.join()));
            // Killed before its first run, on a stack that is there.
            let new = spawn_local(|| unreachable!("killed"));
            assert!(new.cancel());
            assert!(is_killed(new.join()));
            let next = spawn_local(|| {
                assert!(!green_thread::panicking());
                sleep(Duration::from_millis(1));
                greenhub::timeout(Duration::from_millis(1), || sleep(Duration::MAX)).is_err()
            });
            assert!(next.join().unwrap());
        }
    });
}

#[test]
fn it_has_its_own_name_number_and_values() {
    greenhub::thread_local! {
        static VALUE: Cell<u32> = const { Cell::new(0) };
    }
    green("own", 2, || {
        let mut ids = Vec::new();
        for n in 0..20 {
            let name = format!("number {n}");
            let expected = name.clone();
            let thread = Builder::new().name(name).spawn_local(move || {
                assert_eq!(VALUE.get(), 0);
                VALUE.set(7);
                let own = green_thread::current();
                assert_eq!(own.name(), Some(expected.as_str()));
                own.id()
            });
            ids.push(thread.unwrap().join().unwrap());
        }
        ids.dedup();
        assert_eq!(ids.len(), 20);
    });
}

#[test]
fn more_threads_than_spares_and_other_sizes_start_all_the_same() {
    static RAN: AtomicU32 = AtomicU32::new(0);
    green("more", 3, || {
        for round in 1..=3 {
            let threads: Vec<_> = (0..400)
                .map(|n| {
                    let size = if n % 10 == 0 { 128 << 10 } else { 256 << 10 };
                    let body = || {
                        yield_now();
                        RAN.fetch_add(1, SeqCst);
                    };
                    Builder::new().stack_size(size).spawn_local(body).unwrap()
                })
                .collect();
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            assert_eq!(RAN.load(SeqCst), round * 400);
        }
        let alone = report().threads.iter().filter(|t| t.hub == 3).count();
        assert_eq!(alone, 1, "a spare is no green thread");
    });
}

#[test]
fn spares_that_other_threads_ask_for_at_the_same_time_are_given_out_once() {
    green("at once", 4, || {
        // Leaves spares on hub 4, for which OS threads and a hub then compete.
        let left: Vec<_> = (0..50).map(|_| spawn_local(yield_now)).collect();
        left.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let compete = || {
        let spawn = || Builder::new().hub(4).spawn(|| (yield_now(), 1).1).unwrap();
        let threads: Vec<_> = (0..500).map(|_| spawn()).collect();
        let ran = threads.into_iter().map(|thread| thread.join().unwrap());
        ran.sum::<u32>()
    };
    let others = [(); 3].map(|()| std::thread::spawn(compete));
    let inside = green("compete", 5, compete);
    let ran: u32 = others.into_iter().map(|other| other.join().unwrap()).sum();
    assert_eq!(ran + inside, 2000);
}
