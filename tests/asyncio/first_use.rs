//! The first use of `green::asyncio`, when it cannot be served: that call fails, and the next one works.

use std::net::SocketAddr;
use std::panic::catch_unwind;
use std::time::Duration;

use green::asyncio::{Future, ServerOptions, call_later, call_soon, start_server};
use green::report;
use green::sync::mpsc::channel;
use green::thread::{sleep, yield_now};

use test_support::address_space::{give_back, take_all_stacks};
use test_support::child::{SPARE_MEMORY, alone};

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
    let name = "first_use::it_may_come_when_no_stack_is_free";
    is_refused_once(name, &[SPARE_MEMORY], without_stacks);
}

const REFUSED: &str = "both were refused";

/// Runs `body`, which says whether it was refused a stack, in a process of its own. A stack may come back just before, and
/// be free; so it is tried ten times.
fn is_refused_once(name: &str, environment: &[(&str, &str)], body: fn()) {
    let is_refused = || {
        let ended = alone(name, environment, body);
        // The second engine maps a stack later than it promises it, and ends the process if somebody was faster.
        if cfg!(feature = "engine-may") && ended.errors.contains("had been promised one") {
            return false;
        }
        ended.well().errors.contains(REFUSED)
    };
    assert!((0..10).any(|_| is_refused()));
}

fn without_stacks() {
    green::run(|| ());
    let parked = take_all_stacks();
    let Err(message) = catch_unwind(|| drop(call_soon(|| ()))) else {
        return;
    };
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.starts_with("failed to spawn thread"), "{message}");
    if catch_unwind(|| drop(Future::<u8>::new())).is_ok() {
        return;
    }
    eprintln!("{REFUSED}");
    give_back(parked);
    asyncio_works();
    green::run(asyncio_works);
}

#[test]
fn a_caller_that_could_not_be_followed_is_by_the_next_use() {
    let name = "first_use::a_caller_that_could_not_be_followed_is_by_the_next_use";
    is_refused_once(name, &[("GREEN_HUBS", "1"), SPARE_MEMORY], || {
        green::run(without_caller)
    });
}

/// Waits wherever it is called.
struct Waits;

impl log::Log for Waits {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &log::Record<'_>) {
        sleep(Duration::from_millis(10));
    }

    fn flush(&self) {}
}

fn without_caller() {
    let caller = || {
        let threads = report().threads;
        let caller = threads
            .iter()
            .find(|t| t.name.as_deref() == Some("asyncio callbacks"));
        caller.map(|thread| thread.id.as_u64().get())
    };
    let (early, future) = (Future::new(), Future::new());
    early.add_done_callback(|_| ());
    asyncio_works();
    let parked = take_all_stacks();
    let first = caller().unwrap();
    assert!(green::debug::kill(first).unwrap());
    while caller() == Some(first) {
        yield_now();
    }
    if caller().is_some() {
        return;
    }
    eprintln!("{REFUSED}");
    // That nobody can be called back is said under no lock. The caller's own stack is free by now.
    let rest = take_all_stacks();
    log::set_logger(&Waits).unwrap();
    log::set_max_level(log::LevelFilter::Error);
    early.set_result(7).unwrap();
    log::set_max_level(log::LevelFilter::Off);
    give_back(parked.into_iter().chain(rest));
    // One that was made before uses what it knows.
    let (heard, order) = channel();
    future.add_done_callback(move |_| heard.send("done").unwrap());
    future.set_result(7).unwrap();
    assert_eq!(order.recv(), Ok("done"));
    asyncio_works();
}

#[test]
fn a_server_with_a_stack_for_one_of_two_acceptors_does_not_serve() {
    let name = "first_use::a_server_with_a_stack_for_one_of_two_acceptors_does_not_serve";
    is_refused_once(name, &[("GREEN_HUBS", "1"), SPARE_MEMORY], || {
        green::run(with_one_stack_for_two)
    });
}

fn with_one_stack_for_two() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = ServerOptions::new().start_serving(false);
    let server = start_server(|_, _| Ok(()), &[any, any][..], options).unwrap();
    let mut parked = take_all_stacks();
    give_back(parked.pop());
    if server.start_serving().is_ok() {
        return;
    }
    eprintln!("{REFUSED}");
    assert!(!server.is_serving());
    give_back(parked);
    server.start_serving().unwrap();
    assert!(server.is_serving());
}
