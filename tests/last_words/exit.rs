//! The end of the process, asked for by a green thread.

use std::cell::Cell;
use std::time::Duration;

use green::thread;

use test_support::child::alone;

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

/// Asks for the end beside a neighbour that says so if it is run once more.
fn exits(exit: fn(i32) -> !) {
    std::thread_local! {
        static WAITS: Waits = const { Waits };
        static ENDED: Cell<bool> = const { Cell::new(false) };
    }
    green::run(move || {
        WAITS.with(|_| ());
        let neighbour = thread::spawn_local(|| {
            while !ENDED.get() {
                thread::sleep(Duration::from_millis(1));
            }
            eprint!("a neighbour ran");
        });
        thread::sleep(Duration::from_millis(5));
        drop(neighbour);
        ENDED.set(true);
        exit(7);
    });
}

#[track_caller]
fn no_neighbour_runs(name: &str, exit: fn(i32) -> !) {
    let ended = alone(name, &[("GREEN_HUBS", "1")], || exits(exit));
    assert_eq!(ended.status.code(), Some(7), "{ended:?}");
    assert_eq!(ended.errors, "waits, has waited");
}

#[test]
fn no_neighbour_runs_once_a_green_thread_has_ended_the_process() {
    let name = "exit::no_neighbour_runs_once_a_green_thread_has_ended_the_process";
    no_neighbour_runs(name, green::process::exit);
}

#[cfg(target_env = "gnu")]
#[test]
fn no_neighbour_runs_once_a_green_thread_has_called_std_s_exit() {
    let name = "exit::no_neighbour_runs_once_a_green_thread_has_called_std_s_exit";
    no_neighbour_runs(name, std::process::exit);
}
