//! The first use of `green::asyncio`, when it cannot be served: that call fails, and the next one works.

#![expect(unsafe_code, reason = "a resource limit is set by a system call")]

use std::panic::catch_unwind;
use std::time::Duration;

use green::asyncio::{Future, call_later, call_soon};
use green::sync::mpsc::channel;
use green::thread::{Builder, park};

use test_support::child::alone;

/// Callbacks run, and a future's is told.
fn asyncio_works() {
    let (heard, order) = channel();
    let soon = heard.clone();
    call_soon(move || soon.send("soon").unwrap());
    let later = heard.clone();
    call_later(Duration::from_millis(1), move || {
        later.send("later").unwrap()
    });
    let future = Future::new();
    future.add_done_callback(move |_| heard.send("done").unwrap());
    future.set_result(7).unwrap();
    let mut all: Vec<_> = order.iter().take(3).collect();
    all.sort_unstable();
    assert_eq!(all, ["done", "later", "soon"]);
}

#[test]
fn it_may_come_inside_a_limit_that_has_passed() {
    alone(
        "first_use::it_may_come_inside_a_limit_that_has_passed",
        &[],
        || {
            let _ = greenhub::timeout(Duration::ZERO, || drop(call_soon(|| ())));
            asyncio_works();
            green::run(|| {
                let _ = greenhub::timeout(Duration::ZERO, || drop(Future::<u8>::new()));
            });
            green::run(asyncio_works);
        },
    )
    .well();
}

#[test]
fn it_may_come_when_no_stack_is_free() {
    // A stack may come back just before, and be free.
    let is_refused = || {
        let name = "first_use::it_may_come_when_no_stack_is_free";
        let ended = alone(name, &[], without_stacks).well();
        ended.errors.contains(REFUSED)
    };
    assert!((0..10).any(|_| is_refused()));
}

const REFUSED: &str = "both were refused";

fn without_stacks() {
    green::run(|| ());
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    let limit = libc::rlimit {
        rlim_cur: pages * 4096 + (200 << 20),
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` lives across the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    let mut parked = Vec::new();
    while let Ok(thread) = Builder::new().spawn(park) {
        parked.push(thread);
    }
    let Err(message) = catch_unwind(|| drop(call_soon(|| ()))) else {
        return;
    };
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.starts_with("failed to spawn thread"), "{message}");
    if catch_unwind(|| drop(Future::<u8>::new())).is_ok() {
        return;
    }
    eprintln!("{REFUSED}");
    parked.iter().for_each(|thread| thread.thread().unpark());
    parked.into_iter().for_each(|thread| thread.join().unwrap());
    asyncio_works();
    green::run(asyncio_works);
}
