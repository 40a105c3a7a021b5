//! What cannot be seen from outside: a caller that is killed.

use std::sync::mpsc;

use super::*;

/// Kills the caller, before it has begun or in its wait, and has two callbacks run.
fn killed(begun: bool) {
    let (heard, order) = mpsc::channel();
    greenhub::run(move || {
        let hub = green_thread::current().hub().unwrap();
        let calls = Arc::new(Calls::new(hub));
        let first = calls.start_caller().unwrap();
        let tell = |word: &'static str| {
            let heard = heard.clone();
            move || heard.send(word).unwrap()
        };
        calls.soon(Box::new(tell("before")));
        while begun && !calls.waiting.lock().callbacks.is_empty() {
            green_thread::yield_now();
        }
        assert_eq!(first.is_started(), begun);
        first.kill().unwrap();
        calls.soon(Box::new(tell("after")));
        assert!(first.join().is_err());
    });
    assert_eq!(order.recv(), Ok("before"));
    assert_eq!(order.recv(), Ok("after"));
}

#[test]
fn another_caller_goes_on_when_one_is_killed() {
    killed(true);
}

#[test]
fn another_caller_goes_on_when_one_is_killed_before_it_begins() {
    killed(false);
}
