use std::{
    sync::{Arc, mpsc::channel},
    thread,
    time::{Duration, Instant},
};

use super::{Condvar, PassOn};
use crate::sync::Mutex;

#[test]
fn each_notification_wakes_a_waiter() {
    let shared = Arc::new((Mutex::new(0), Condvar::new()));
    let (sender, receiver) = channel();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (shared, sender) = (Arc::clone(&shared), sender.clone());
            thread::spawn(move || {
                let mut waiting = shared.0.lock().unwrap();
                *waiting += 1;
                drop(shared.1.wait(waiting).unwrap());
                sender.send(()).unwrap();
            })
        })
        .collect();
    while *shared.0.lock().unwrap() < 4 {
        thread::yield_now();
    }
    for _ in 0..4 {
        shared.1.notify_one();
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn notify_all_wakes_every_waiter() {
    let shared = Arc::new((Mutex::new((0, false)), Condvar::new()));
    let threads: Vec<_> = (0..5)
        .map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut state = shared.0.lock().unwrap();
                state.0 += 1;
                let state = shared.1.wait_while(state, |(_, go)| !*go).unwrap();
                assert!(state.1);
            })
        })
        .collect();
    loop {
        let mut state = shared.0.lock().unwrap();
        if state.0 == 5 {
            state.1 = true;
            shared.1.notify_all();
            break;
        }
        drop(state);
        thread::yield_now();
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_limit_passes_and_never_too_early() {
    let (mutex, condvar) = (Mutex::new(false), Condvar::new());
    let limit = Duration::from_millis(20);
    let start = Instant::now();
    let (guard, result) = condvar
        .wait_timeout_while(mutex.lock().unwrap(), limit, |ready| !*ready)
        .unwrap();
    assert!(result.timed_out() && start.elapsed() >= limit);
    let (guard, result) = condvar
        .wait_timeout_while(guard, limit, |ready| *ready)
        .unwrap();
    assert!(!result.timed_out());
    let start = Instant::now();
    let (guard, result) = condvar.wait_timeout(guard, limit).unwrap();
    assert!(result.timed_out() && start.elapsed() >= limit);
    #[expect(deprecated, reason = "std has it still")]
    let (_guard, in_time) = condvar.wait_timeout_ms(guard, 5).unwrap();
    assert!(!in_time);
}

#[test]
fn a_limit_beyond_all_time_is_none() {
    let shared = Arc::new((Mutex::new(false), Condvar::new()));
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || {
        *other.0.lock().unwrap() = true;
        other.1.notify_one();
    });
    let (_guard, result) = shared
        .1
        .wait_timeout_while(shared.0.lock().unwrap(), Duration::MAX, |ready| !*ready)
        .unwrap();
    assert!(!result.timed_out());
    thread.join().unwrap();
}

#[test]
fn a_waiter_killed_after_it_was_notified_passes_that_on() {
    let shared = Arc::new((Mutex::new(false), Condvar::new()));
    let other = Arc::clone(&shared);
    let waiter = thread::spawn(move || {
        let mut entered = other.0.lock().unwrap();
        *entered = true;
        drop(other.1.wait(entered).unwrap());
    });
    while !*shared.0.lock().unwrap() {
        thread::yield_now();
    }
    // What a wait does when it unwinds between its notification and the mutex.
    drop(PassOn(&shared.1));
    waiter.join().unwrap();
}

#[test]
fn shows_itself_as_std_does() {
    assert_eq!(format!("{:?}", Condvar::new()), "Condvar { .. }");
    let (_, result) = Condvar::new()
        .wait_timeout(Mutex::new(()).lock().unwrap(), Duration::ZERO)
        .map(|(guard, result)| (drop(guard), result))
        .unwrap();
    assert_eq!(format!("{result:?}"), "WaitTimeoutResult(true)");
}
