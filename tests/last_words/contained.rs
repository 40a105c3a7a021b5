//! Users' code that panics where nobody can be told, with what panics again when it is dropped: it is contained.

use std::future::Future;
use std::panic::panic_any;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use green::thread::{self, JoinHandle};
use green::{Config, blocking, timeout};

use test_support::child::alone;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

/// Panics when it is dropped, with another.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(Bomb)
    }
}

struct WakesABomb;

impl Wake for WakesABomb {
    fn wake(self: Arc<Self>) {
        panic_any(Bomb)
    }
}

/// Runs `body` in a process of its own, whose hubs still work afterwards.
fn contained(name: &str, body: impl FnOnce()) {
    let ended = alone(name, &[], || {
        std::panic::set_hook(Box::new(|_| ()));
        body();
        for hub in 0..green::hub_count().unwrap() {
            let alive = thread::Builder::new().hub(hub).spawn(|| 7);
            assert_eq!(alive.unwrap().join().unwrap(), 7);
        }
    });
    assert!(ended.errors.is_empty(), "{}", ended.errors);
    ended.well();
}

/// Lets one that is parked go, and waits for its end, and for what is left of the handle to be dropped there.
fn detach<T>(handle: JoinHandle<T>) {
    let (ended, end) = mpsc::channel();
    handle.link(move |_| ended.send(()).unwrap());
    let thread = handle.thread().clone();
    drop(handle);
    thread.unpark();
    end.recv_timeout(LONG).unwrap();
}

#[test]
fn a_link_panics_with_a_bomb() {
    contained("contained::a_link_panics_with_a_bomb", || {
        let linked = thread::spawn(thread::park);
        linked.link(|_| panic_any(Bomb));
        linked.thread().unpark();
        assert!(linked.wait_timeout(LONG));
        // The same at once, in the caller.
        linked.link(|_| panic_any(Bomb));
        linked.join().unwrap();
    });
}

#[test]
fn a_bomb_is_dropped_with_a_body_that_never_starts() {
    contained(
        "contained::a_bomb_is_dropped_with_a_body_that_never_starts",
        || {
            let bomb = Bomb;
            let unstarted = thread::spawn_after(LONG * 100, move || drop(bomb));
            unstarted.kill().unwrap();
            assert!(unstarted.wait_timeout(LONG));
            assert!(unstarted.join().is_err());
        },
    );
}

#[test]
fn a_waker_panics_with_a_bomb() {
    contained("contained::a_waker_panics_with_a_bomb", || {
        let mut awaited = thread::spawn(thread::park);
        let waker = Waker::from(Arc::new(WakesABomb));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut awaited).poll(&mut context).is_pending());
        awaited.thread().unpark();
        assert!(awaited.wait_timeout(LONG));
        awaited.join().unwrap();
    });
}

#[test]
fn a_result_that_nobody_wants_is_a_bomb() {
    contained("contained::a_result_that_nobody_wants_is_a_bomb", || {
        detach(thread::spawn(|| {
            thread::park();
            Bomb
        }));
        detach(thread::spawn(|| {
            thread::park();
            panic_any(Bomb)
        }));
        thread::sleep(SHORT);
    });
}

#[test]
fn a_result_on_the_blocking_pool_is_a_bomb_and_its_threads_go_on() {
    contained(
        "contained::a_result_on_the_blocking_pool_is_a_bomb_and_its_threads_go_on",
        || {
            Config::new().blocking_threads(1).apply().unwrap();
            green::run(|| {
                for _ in 0..3 {
                    let (release, blocked) = mpsc::channel::<()>();
                    let call = || {
                        blocking(move || {
                            let _ = blocked.recv();
                            Bomb
                        })
                    };
                    assert!(timeout(SHORT, move || std::mem::forget(call())).is_err());
                    drop(release);
                    assert_eq!(timeout(LONG, || blocking(|| 7)), Ok(7));
                }
            });
        },
    );
}

#[test]
fn a_value_of_a_green_thread_is_a_bomb_and_the_message_says_so() {
    green::thread_local! { static VALUE: Bomb = const { Bomb }; }
    let ended = alone(
        "contained::a_value_of_a_green_thread_is_a_bomb_and_the_message_says_so",
        &[],
        || {
            std::panic::set_hook(Box::new(|_| ()));
            let _ = thread::spawn(|| VALUE.with(|_| ())).join();
        },
    );
    let message = "fatal runtime error: thread local panicked on drop, aborting\n";
    assert_eq!(ended.errors, message);
    ended.by(libc::SIGABRT);
}
