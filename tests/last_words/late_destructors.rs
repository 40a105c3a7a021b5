//! Destructors of an OS thread's std thread-locals wait like anybody else, in whatever order they run.

use std::cell::RefCell;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use green::sync::Mutex;
use green::{thread, timeout};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(30);

struct AtEnd(Box<dyn FnOnce()>);

/// Runs `f` in a destructor of an OS thread that runs after our own, if `first`
/// is used, as far as the thread-local goes, before anything of ours.
fn at_the_end(first: bool, f: fn()) {
    struct Late(RefCell<Option<AtEnd>>);
    impl Drop for Late {
        fn drop(&mut self) {
            (self.0.take().unwrap().0)();
        }
    }
    std::thread_local! { static LATE: Late = const { Late(RefCell::new(None)) }; }
    let (done, ended) = mpsc::channel();
    let ending = std::thread::spawn(move || {
        let meet = || drop(thread::current());
        if !first {
            meet();
        }
        LATE.with(|late| {
            late.0.replace(Some(AtEnd(Box::new(move || {
                f();
                done.send(()).unwrap();
            }))))
        });
        meet();
    });
    ending.join().unwrap();
    ended.recv_timeout(LONG).unwrap();
}

fn in_both_orders(name: &str, f: fn()) {
    test_support::bounded(name, LONG, || {
        at_the_end(true, f);
        at_the_end(false, f);
    });
}

#[test]
fn a_late_destructor_parks() {
    in_both_orders("park", || {
        let me = thread::current();
        assert_eq!(me.id(), thread::current().id());
        let waker = std::thread::spawn(move || {
            std::thread::sleep(SHORT);
            me.unpark();
        });
        thread::park();
        waker.join().unwrap();
    });
}

#[test]
fn a_late_destructor_takes_a_lock_again_that_is_its_own() {
    in_both_orders("lock", || {
        let _held = green::io::stderr().lock();
        let _again = green::io::stderr().lock();
        let mutex = Mutex::new(0);
        *mutex.lock().unwrap() += 1;
        *mutex.lock().unwrap() += 1;
        assert_eq!(mutex.into_inner().unwrap(), 2);
    });
}

#[test]
fn a_late_destructor_keeps_its_time_limit() {
    in_both_orders("timeout", || {
        let begun = Instant::now();
        assert!(timeout(SHORT, || thread::sleep(Duration::MAX)).is_err());
        assert!(begun.elapsed() < LONG);
    });
}

#[test]
fn a_late_destructor_meets_the_values_of_its_thread_as_std_has_it() {
    green::thread_local! { static VALUE: Box<u8> = Box::new(7); }
    test_support::bounded("values", LONG, || {
        // Used first here: the value is made as late as that, and dropped after.
        at_the_end(true, || {
            assert!(VALUE.try_with(|value| **value == 7).unwrap())
        });
    });
}
