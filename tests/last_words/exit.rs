//! The end of the process, asked for by a green thread.

#![expect(unsafe_code, reason = "registers a function with exit(3)")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use green::thread;

use test_support::child::alone;

/// Who waits while the process ends.
#[derive(Clone, Copy, PartialEq)]
enum Waiting {
    /// The destructor of a thread-local of the green thread that asked for the end.
    ThreadLocal,
    /// A function that exit(3) calls where it destroys C++'s statics.
    Static,
}

struct Waits;

impl Drop for Waits {
    fn drop(&mut self) {
        eprint!("waits, ");
        thread::sleep(Duration::from_millis(20));
        thread::yield_now();
        let limited = green::timeout(Duration::from_millis(5), || {
            thread::sleep(Duration::from_secs(3600));
        });
        assert!(limited.is_err());
        eprint!("has waited");
    }
}

extern "C" fn at_exit() {
    drop(Waits);
}

/// Asks for the end beside a neighbour that says so if it is run once more.
fn exits(exit: fn(i32) -> !, waiting: Waiting) {
    std::thread_local! {
        static WAITS: Waits = const { Waits };
    }
    static ENDED: AtomicBool = AtomicBool::new(false);
    if waiting == Waiting::Static {
        // SAFETY: a function that lives as long as the process.
        assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
    }
    green::run(move || {
        if waiting == Waiting::ThreadLocal {
            WAITS.with(|_| ());
        }
        let neighbour = thread::spawn_local(|| {
            while !ENDED.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            eprint!("a neighbour ran");
        });
        thread::sleep(Duration::from_millis(5));
        drop(neighbour);
        ENDED.store(true, Ordering::Relaxed);
        exit(7);
    });
}

/// Where green threads share their hub's thread-locals, and where they have their own.
const BOTH: [&str; 2] = ["shared", "auto"];

#[track_caller]
fn no_neighbour_runs(name: &str, thread_locals: &[&str], exit: fn(i32) -> !, waiting: Waiting) {
    for thread_locals in thread_locals {
        let environment = [("GREEN_HUBS", "1"), ("GREEN_THREAD_LOCALS", thread_locals)];
        let ended = alone(name, &environment, || exits(exit, waiting));
        assert_eq!(ended.status.code(), Some(7), "{thread_locals}: {ended:?}");
        assert_eq!(ended.errors, "waits, has waited", "{thread_locals}");
    }
}

#[test]
fn no_neighbour_runs_once_a_green_thread_has_ended_the_process() {
    let name = "exit::no_neighbour_runs_once_a_green_thread_has_ended_the_process";
    no_neighbour_runs(name, &BOTH, green::process::exit, Waiting::ThreadLocal);
}

/// A thread-local of its own is nothing to a neighbour.
#[cfg(target_env = "gnu")]
#[test]
fn no_neighbour_runs_once_a_green_thread_has_called_std_s_exit() {
    let name = "exit::no_neighbour_runs_once_a_green_thread_has_called_std_s_exit";
    no_neighbour_runs(name, &["shared"], std::process::exit, Waiting::ThreadLocal);
}

#[test]
fn no_neighbour_runs_while_statics_are_destroyed() {
    let name = "exit::no_neighbour_runs_while_statics_are_destroyed";
    no_neighbour_runs(name, &BOTH, green::process::exit, Waiting::Static);
}

#[test]
fn no_neighbour_runs_while_std_s_exit_destroys_statics() {
    let name = "exit::no_neighbour_runs_while_std_s_exit_destroys_statics";
    no_neighbour_runs(name, &BOTH, std::process::exit, Waiting::Static);
}

/// Starts green threads where the process ends, and joins them.
extern "C" fn start_some() {
    for _ in 0..4 {
        let ran = thread::spawn(|| eprint!("ran, "));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| ran.join())) {
            eprint!("{}, ", panic.downcast_ref::<&str>().unwrap());
        }
    }
    let limited = green::timeout(Duration::from_millis(5), || {
        thread::spawn(|| thread::sleep(Duration::from_secs(3600))).join()
    });
    eprint!("{}", limited.is_err());
}

#[track_caller]
fn some_start_at_the_end(name: &str, hubs: &str) -> String {
    let errors = BOTH.map(|thread_locals| {
        let environment = [("GREEN_HUBS", hubs), ("GREEN_THREAD_LOCALS", thread_locals)];
        let ended = alone(name, &environment, || {
            std::panic::set_hook(Box::new(|_| ()));
            // SAFETY: a function that lives as long as the process.
            assert_eq!(unsafe { libc::atexit(start_some) }, 0);
            green::run(|| {
                // The hub that ends the process has the fewest.
                let here = thread::current().hub();
                let others = (0..green::hub_count().unwrap()).filter(|hub| Some(*hub) != here);
                for hub in others {
                    let busy = || thread::Builder::new().hub(hub).spawn(thread::park);
                    (0..20).for_each(|_| drop(busy().unwrap()));
                }
                green::process::exit(7)
            });
        });
        assert_eq!(ended.status.code(), Some(7), "{thread_locals}: {ended:?}");
        ended.errors
    });
    assert_eq!(errors[0], errors[1]);
    errors[0].clone()
}

#[test]
fn green_threads_that_start_while_the_process_ends_run_on_another_hub() {
    let name = "exit::green_threads_that_start_while_the_process_ends_run_on_another_hub";
    assert_eq!(some_start_at_the_end(name, "2"), "ran, ran, ran, ran, true");
}

#[test]
fn where_no_other_hub_runs_them_a_join_says_so() {
    let name = "exit::where_no_other_hub_runs_them_a_join_says_so";
    let errors = some_start_at_the_end(name, "1");
    assert!(
        errors.starts_with("failed to join thread: the process ends"),
        "{errors}"
    );
    assert!(errors.ends_with("true"), "{errors}");
}
