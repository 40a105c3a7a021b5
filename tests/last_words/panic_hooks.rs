//! Panic hooks that wait for what a parked neighbour has.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use green::sync::Mutex;
use green::thread::{sleep, spawn, yield_now};

use test_support::child::{Ended, alone};

const MS: Duration = Duration::from_millis(1);
/// Longer than a hook holds its hub.
const LONG: Duration = Duration::from_millis(400);

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());
static HOOK_RUNS: AtomicBool = AtomicBool::new(false);
static LET_GO: AtomicBool = AtomicBool::new(false);

/// With one hub, under a hook that takes `LOG`: `body` runs while a neighbour holds it.
/// Thread-locals are shared: where they are not, a hook is no neighbour's concern (`thread_locals/unwinds.rs`).
fn while_the_hook_waits(name: &str, body: fn()) -> Ended {
    alone(
        name,
        &[("GREEN_HUBS", "1"), ("GREEN_THREAD_LOCALS", "shared")],
        || {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                usual(info);
                HOOK_RUNS.store(true, SeqCst);
                LOG.lock().unwrap().push(info.to_string());
            }));
            green::run(move || {
                let holder = spawn(|| {
                    let _held = LOG.lock().unwrap();
                    while !LET_GO.load(SeqCst) {
                        sleep(MS);
                    }
                });
                let panics = spawn(|| panic!("told to the log"));
                while !HOOK_RUNS.load(SeqCst) {
                    yield_now();
                }
                // The hook holds the hub at first, so it is suspended by now.
                body();
                assert!(!panics.is_finished(), "it waits for the holder");
                LET_GO.store(true, SeqCst);
                holder.join().unwrap();
                assert!(panics.join().is_err());
                assert!(LOG.lock().unwrap()[0].contains("told to the log"));
                // What std knows of panics is as it was.
                assert!(!std::thread::panicking());
                assert!(spawn(|| panic!("again")).join().is_err());
                assert!(greenhub::timeout(MS, || sleep(LONG)).is_err());
            });
        },
    )
}

#[test]
fn the_hub_runs_on_while_a_hook_waits_for_a_neighbours_lock() {
    let name = "panic_hooks::the_hub_runs_on_while_a_hook_waits_for_a_neighbours_lock";
    while_the_hook_waits(name, || {
        assert!(!green::thread::panicking(), "another one does");
        assert_eq!(spawn(|| 7).join().unwrap(), 7);
        // A lock that is given back here is not poisoned by that.
        let lock = Mutex::new(());
        drop(lock.lock());
        assert!(!lock.is_poisoned());
    })
    .well();
}

#[test]
fn a_kill_or_a_limit_waits_until_a_neighbours_hook_is_over() {
    let name = "panic_hooks::a_kill_or_a_limit_waits_until_a_neighbours_hook_is_over";
    while_the_hook_waits(name, || {
        thread_local! {
            static KILLED: RefCell<Option<green::thread::JoinHandle<()>>> = const { RefCell::new(None) };
        }
        let killed = spawn(|| sleep(Duration::from_secs(60)));
        yield_now();
        killed.kill().unwrap();
        sleep(5 * MS);
        assert!(!killed.is_finished());
        // It ends all the same: by the end of the process, for whoever looks.
        KILLED.set(Some(killed));
        spawn(|| {
            let cut = greenhub::timeout(MS, || sleep(Duration::from_secs(60)));
            assert!(cut.is_err());
            let killed = KILLED.take().unwrap();
            assert!(killed.join().is_err());
        });
    })
    .well();
}

#[test]
fn a_panic_beside_a_hook_that_waits_ends_the_process_with_a_message() {
    let name = "panic_hooks::a_panic_beside_a_hook_that_waits_ends_the_process_with_a_message";
    let ended = while_the_hook_waits(name, || panic!("the second")).by(libc::SIGABRT);
    assert!(ended.errors.contains("aborting"), "{}", ended.errors);
}

#[test]
fn an_unwind_of_stds_beside_a_hook_that_waits_ends_the_process_with_a_message() {
    let name =
        "panic_hooks::an_unwind_of_stds_beside_a_hook_that_waits_ends_the_process_with_a_message";
    let ended = while_the_hook_waits(name, || {
        let _ = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(())));
    })
    .by(libc::SIGABRT);
    assert!(ended.errors.contains("resume_unwind"), "{}", ended.errors);
}

/// Whether std takes this thread for one that panics, seen by a destructor that the panic runs and that waits.
struct Looks(Arc<AtomicBool>);

impl Drop for Looks {
    fn drop(&mut self) {
        // Were it not seen to unwind, a kill that is due would be a second unwind here.
        sleep(MS);
        self.0.store(std::thread::panicking(), SeqCst);
    }
}

/// Panics while a lock of std's is held and a kill is due; the panic must count as one.
fn assert_that_a_panic_counts() {
    let (lock, panicking) = (Arc::new(std::sync::Mutex::new(())), Arc::default());
    let (locked, looks) = (lock.clone(), Looks(Arc::clone(&panicking)));
    let panics = spawn(move || {
        let _locked = locked.lock().unwrap();
        let _looks = looks;
        green::thread::current().kill().unwrap();
        panic!("planned");
    });
    let payload = panics.join().unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"planned"));
    assert!(lock.is_poisoned());
    assert!(panicking.load(SeqCst));
    assert!(!std::thread::panicking());
}

/// A limit in a hook whose panic counts, and the panics after it.
fn a_limit_in_a_hook() {
    green::run(|| {
        for _ in 0..3 {
            assert_that_a_panic_counts();
        }
        // Limits outside of the hook are in force.
        assert!(greenhub::timeout(MS, || sleep(LONG)).is_err());
    });
    assert!(HOOK_RUNS.load(SeqCst));
}

fn hook_with_a_limit() {
    std::panic::set_hook(Box::new(|_| {
        // It cannot unwind there, and is late.
        assert!(greenhub::timeout(MS, || sleep(5 * MS)).is_ok());
        HOOK_RUNS.store(true, SeqCst);
    }));
}

#[test]
fn a_limit_in_a_hook_is_late_and_the_panic_goes_on_as_one() {
    let name = "panic_hooks::a_limit_in_a_hook_is_late_and_the_panic_goes_on_as_one";
    for setting in ["shared", "auto"] {
        let settings = [("GREEN_THREAD_LOCALS", setting), ("GREEN_HUBS", "1")];
        alone(name, &settings, || {
            hook_with_a_limit();
            a_limit_in_a_hook();
        })
        .well();
    }
}

#[test]
fn a_limit_in_a_hook_that_was_set_later_is_late_too() {
    let name = "panic_hooks::a_limit_in_a_hook_that_was_set_later_is_late_too";
    for setting in ["shared", "auto"] {
        let settings = [("GREEN_THREAD_LOCALS", setting), ("GREEN_HUBS", "1")];
        alone(name, &settings, || {
            // The hubs have put their own hook before std's; this one takes its place.
            spawn(|| ()).join().unwrap();
            hook_with_a_limit();
            a_limit_in_a_hook();
        })
        .well();
    }
}

#[test]
fn a_limit_around_a_panic_whose_hook_waits_is_late() {
    let name = "panic_hooks::a_limit_around_a_panic_whose_hook_waits_is_late";
    struct Catches;
    impl Drop for Catches {
        fn drop(&mut self) {
            // The panic is one inside a limit inside a destructor: that limit may pass, and passes in the hook.
            let _ = greenhub::timeout(2 * MS, || {
                let caught = std::panic::catch_unwind(|| panic!("inner"));
                assert!(caught.is_err());
            });
        }
    }
    for setting in ["shared", "auto"] {
        let settings = [("GREEN_THREAD_LOCALS", setting), ("GREEN_HUBS", "1")];
        alone(name, &settings, || {
            std::panic::set_hook(Box::new(|_| {
                sleep(10 * MS);
                HOOK_RUNS.store(true, SeqCst);
            }));
            green::run(|| {
                let panics = spawn(|| {
                    let _catches = Catches;
                    panic!("outer");
                });
                assert!(panics.join().is_err());
                let limited = spawn(|| {
                    let cut = greenhub::timeout(MS, || panic!("in a limit"));
                    cut.is_err()
                });
                assert!(limited.join().is_err(), "its own panic");
            });
            a_limit_in_a_hook();
            // No thread is held as if it were in a hook: while one waits, another runs.
            let waits = spawn(|| sleep(Duration::from_secs(3600)));
            spawn(|| ()).join().unwrap();
            assert!(!waits.is_finished());
        })
        .well();
    }
}

#[test]
fn a_still_needed_that_waits_in_a_hook_is_refused() {
    let name = "panic_hooks::a_still_needed_that_waits_in_a_hook_is_refused";
    let settings = [("GREEN_THREAD_LOCALS", "shared")];
    let refused = alone(name, &settings, || {
        std::panic::set_hook(Box::new(|info| {
            eprintln!("{info}");
            let queue = greenhub::wait_queue::WaitQueue::new();
            queue.wait("a hook", greenhub::Deadline::NEVER, || {
                sleep(MS);
                true
            });
        }));
        green::run(|| drop(spawn(|| panic!("planned")).join()));
    });
    // To std a panic in a hook ends the process.
    let errors = refused.by(libc::SIGABRT).errors;
    assert!(errors.contains("aborting"), "{errors}");
}

#[test]
fn a_hook_may_write_to_a_standard_error_that_is_full() {
    let name = "panic_hooks::a_hook_may_write_to_a_standard_error_that_is_full";
    alone(name, &[("GREEN_HUBS", "1")], || {
        let (reader, writer) = std::io::pipe().unwrap();
        rustix::stdio::dup2_stderr(&writer).unwrap();
        std::panic::set_hook(Box::new(|_| {
            HOOK_RUNS.store(true, SeqCst);
            green::eprintln!("a panic");
        }));
        green::run(|| {
            let line = "x".repeat(1000);
            let writes = spawn(move || (0..100).for_each(|_| green::eprintln!("{line}")));
            let panics = spawn(|| panic!());
            while !HOOK_RUNS.load(SeqCst) {
                yield_now();
            }
            let reads = std::thread::spawn(move || {
                let mut reader = reader;
                std::io::copy(&mut reader, &mut std::io::sink())
            });
            assert!(panics.join().is_err());
            writes.join().unwrap();
            drop(reads);
        });
    })
    .well();
}
