//! Time limits over a block: which one reports, what they interrupt, what they leave behind.

use std::cell::Cell;
use std::io;
use std::panic::{catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenhub::Deadline;
use greenhub::green_thread::{self, Builder, park, sleep, spawn_local, yield_now};
use greenhub::wait_queue::{WaitQueue, Wake};
use greenhub::{Elapsed, is_timeout, timeout};

use test_support::threads::{LIMIT, MILLISECOND, OnDrop, prepare};

const HOUR: Duration = Duration::from_secs(3600);

/// Runs `body` on this OS thread and on a green thread, bounded in time.
fn both(name: &str, body: impl Fn() + Copy + Send + 'static) {
    prepare();
    test_support::bounded(name, LIMIT, || {
        body();
        Builder::new()
            .hub(0)
            .spawn(body)
            .unwrap()
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic));
    });
}

#[test]
fn only_the_scope_whose_limit_passed_reports() {
    both("only the scope whose", || {
        let outer = timeout(5 * MILLISECOND, || {
            let inner = timeout(HOUR, || sleep(HOUR));
            unreachable!("the inner scope returned {inner:?}");
        });
        assert!(outer.is_err());
        let outer = timeout(HOUR, || timeout(5 * MILLISECOND, || sleep(HOUR)));
        assert!(outer.unwrap().is_err());
        // The same limit twice: the outer one's.
        let outer = timeout(5 * MILLISECOND, || {
            let three = timeout(HOUR, || timeout(HOUR, || sleep(HOUR)));
            unreachable!("{three:?}");
        });
        assert!(outer.is_err());
    });
}

#[test]
fn a_scope_that_ends_in_time_leaves_nothing() {
    both("a scope that ends in", || {
        assert_eq!(timeout(5 * MILLISECOND, || 7), Ok(7));
        sleep(10 * MILLISECOND);
        for _ in 0..100 {
            timeout(HOUR, yield_now).unwrap();
        }
        let began = Instant::now();
        assert!(timeout(10 * MILLISECOND, || sleep(HOUR)).is_err());
        assert!(began.elapsed() >= 10 * MILLISECOND);
        sleep(MILLISECOND);
    });
}

#[test]
fn no_limit_never_fires() {
    both("no limit never fires", || {
        assert_eq!(timeout(Duration::MAX, || sleep(2 * MILLISECOND)), Ok(()));
        assert!(timeout(2 * MILLISECOND, || timeout(Duration::MAX, || sleep(HOUR))).is_err());
    });
}

#[test]
fn one_predicate_knows_every_time_out() {
    both("one predicate knows", || {
        let elapsed: Elapsed = timeout(MILLISECOND, || sleep(HOUR)).unwrap_err();
        assert!(!elapsed.is_refused());
        let error = io::Error::from(elapsed);
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(is_timeout(&error));
        let (end, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        end.set_nonblocking(true).unwrap();
        let source = greenhub::source::Source::new(end.into());
        let deadline = Deadline::after(MILLISECOND);
        let error = source
            .retry(greenhub::source::Direction::Read, deadline, |fd| {
                socket2::SockRef::from(&fd).recv(&mut [std::mem::MaybeUninit::uninit()])
            })
            .unwrap_err();
        assert!(is_timeout(&error), "{error:?}");
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted] {
            assert!(!is_timeout(&kind.into()));
        }
    });
}

#[test]
fn a_limit_ends_every_kind_of_wait() {
    both("kinds", || {
        static QUEUE: WaitQueue = WaitQueue::new();
        let limit = || 2 * MILLISECOND;
        assert!(timeout(limit(), || sleep(HOUR)).is_err());
        assert!(timeout(limit(), park).is_err());
        assert!(timeout(limit(), || QUEUE.wait("test", Deadline::NEVER, || true)).is_err());
        assert!(QUEUE.is_empty());
        let sleeper = green_thread::spawn(|| sleep(HOUR));
        assert!(timeout(limit(), || sleeper.join()).is_err());
        let (end, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(timeout(limit(), || greenhub::wait_readable(&end, Deadline::NEVER)).is_err());
        let looped: Result<(), Elapsed> = timeout(limit(), || {
            loop {
                yield_now();
            }
        });
        assert!(looped.is_err());
    });
}

#[test]
fn a_limit_that_was_caught_comes_again_at_the_next_wait() {
    both("caught", || {
        let mut caught = 0;
        let ended = timeout(2 * MILLISECOND, || {
            for _ in 0..3 {
                caught += u32::from(catch_unwind(|| sleep(HOUR)).is_err());
            }
            sleep(HOUR);
        });
        assert!(ended.is_err());
        assert_eq!(caught, 3);
    });
}

#[test]
fn a_panic_passes_through_a_scope() {
    both("panic", || {
        let payload = catch_unwind(|| timeout(HOUR, || resume_unwind(Box::new(7))))
            .map(|_: Result<(), _>| ());
        assert!(payload.unwrap_err().is::<i32>());
        assert!(timeout(MILLISECOND, || sleep(HOUR)).is_err());
    });
}

#[test]
fn an_outer_limit_does_not_interrupt_a_drop_that_unwinds() {
    both("an outer limit does not", || {
        let flushed = Rc::new(Cell::new(false));
        let theirs = flushed.clone();
        let outer = timeout(2 * MILLISECOND, move || {
            let _flush = OnDrop(|| {
                sleep(2 * MILLISECOND);
                theirs.set(true);
            });
            sleep(HOUR);
        });
        assert!(outer.is_err());
        assert!(flushed.get());
    });
}

#[test]
fn a_limit_inside_a_drop_that_unwinds_holds() {
    both("a limit inside a drop", || {
        let seen = Rc::new(Cell::new(None));
        let theirs = seen.clone();
        let outer = timeout(2 * MILLISECOND, move || {
            let _flush = OnDrop(|| {
                let nested = timeout(HOUR, || timeout(2 * MILLISECOND, || sleep(HOUR)));
                let again = timeout(2 * MILLISECOND, || {
                    let _inner = OnDrop(|| sleep(MILLISECOND));
                    sleep(HOUR);
                });
                sleep(MILLISECOND);
                theirs.set(Some((nested, again)));
            });
            sleep(HOUR);
        });
        assert!(outer.is_err());
        let (nested, again) = seen.take().unwrap();
        assert!(nested.unwrap().is_err());
        assert!(again.is_err());
        assert!(
            timeout(MILLISECOND, || sleep(HOUR)).is_err(),
            "limits work as ever"
        );
    });
}

#[test]
fn a_limit_inside_a_drop_that_unwinds_leaves_the_outer_one_as_it_was() {
    fn caught(limit: Duration, wait: Duration) {
        let unwound = catch_unwind(|| {
            let _flush =
                OnDrop(|| assert_eq!(timeout(limit, || sleep(wait)).is_err(), limit < wait));
            resume_unwind(Box::new(7));
        });
        assert!(unwound.unwrap_err().is::<i32>());
    }
    both("a limit leaves the outer one", || {
        caught(MILLISECOND, HOUR);
        sleep(MILLISECOND);
        let outer = timeout(20 * MILLISECOND, || {
            caught(HOUR, MILLISECOND);
            sleep(HOUR);
        });
        assert!(outer.is_err());
    });
}

#[test]
fn a_limit_inside_a_drop_that_a_kill_runs_holds_and_the_kill_does_not_interrupt() {
    prepare();
    test_support::bounded("a limit inside a drop", LIMIT, || {
        greenhub::run(|| {
            let seen = Rc::new(Cell::new(None));
            let theirs = seen.clone();
            let victim = spawn_local(move || {
                let _flush = OnDrop(|| {
                    let slow = timeout(5 * MILLISECOND, || sleep(HOUR));
                    let quick = timeout(HOUR, || sleep(MILLISECOND));
                    theirs.set(Some((slow, quick)));
                });
                sleep(HOUR);
            });
            sleep(MILLISECOND);
            victim.kill().unwrap();
            assert!(victim.join().unwrap_err().is::<greenhub::Killed>());
            let (slow, quick) = seen.take().unwrap();
            assert!(slow.is_err());
            assert!(quick.is_ok());
        });
    });
}

#[test]
fn a_limit_inside_a_drop_that_unwinds_holds_beside_a_neighbour_in_one() {
    prepare();
    test_support::bounded("a limit inside a drop", LIMIT, || {
        greenhub::run(|| {
            // Unwinds until it is told to end, so that the OS thread counts as panicking all the while.
            let (inside, go) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
            let (theirs, told) = (inside.clone(), go.clone());
            let neighbour = spawn_local(move || {
                let _parked = OnDrop(|| {
                    theirs.set(true);
                    while !told.get() {
                        sleep(MILLISECOND);
                    }
                });
                resume_unwind(Box::new(()));
            });
            while !inside.get() {
                yield_now();
            }
            let seen = Rc::new(Cell::new(None));
            let theirs = seen.clone();
            let outer = timeout(2 * MILLISECOND, move || {
                let _flush = OnDrop(|| {
                    let nested = timeout(2 * MILLISECOND, || sleep(HOUR));
                    // The outer limit has long passed, and may not interrupt this one.
                    sleep(MILLISECOND);
                    // Nor does a payload that lives longer than the block that raised it say more than its own.
                    let mut kept = None;
                    let again = timeout(2 * MILLISECOND, || {
                        kept = catch_unwind(|| sleep(HOUR)).err();
                    });
                    drop(kept);
                    sleep(MILLISECOND);
                    theirs.set(Some((nested, again)));
                });
                sleep(HOUR);
            });
            assert!(outer.is_err());
            let (nested, again) = seen.take().unwrap();
            assert!(nested.is_err());
            assert!(again.is_ok(), "it caught what its limit raised");
            go.set(true);
            assert!(neighbour.join().is_err());
        });
    });
}

#[test]
fn a_wait_with_a_limit_ends_early_with_its_event_or_not_before() {
    both("a wait with a limit ends", || {
        let queue = std::sync::Arc::new(WaitQueue::new());
        let began = Instant::now();
        let none = queue.wait("test", Deadline::at(began + 5 * MILLISECOND), || true);
        assert_eq!(none, Wake::TimedOut);
        assert!(began.elapsed() >= 5 * MILLISECOND);
        let theirs = queue.clone();
        let waker = green_thread::spawn(move || {
            while !theirs.wake_one() {
                sleep(MILLISECOND / 4);
            }
        });
        let woken = queue.wait("test", Deadline::after(HOUR), || true);
        assert_eq!(woken, Wake::Woken);
        waker.join().unwrap();
    });
}
