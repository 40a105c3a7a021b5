//! Green threads that unwind beside others: whose panic it is, what it interrupts, what a panic hook may do.

use std::cell::{Cell, RefCell};
use std::panic::{catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::Site;
use greenhub::green_thread::{
    self, Builder, JoinHandle, panicking, sleep, spawn, spawn_local, yield_now,
};

use test_support::child::alone;
use test_support::threads::{
    MILLISECOND, OnDrop, fail_quietly, green, is_killed, planned_panic, site, until,
};

/// Whether what std knows of panics is the hub's.
fn thread_locals_are_shared() -> bool {
    greenhub::report().thread_locals.starts_with("shared")
}

/// Starts a green thread that is parked inside a destructor which an unwind
/// runs, until `go` is set.
fn parked_in_drop(go: &Rc<Cell<bool>>) -> JoinHandle<()> {
    let go = go.clone();
    // A flag and not the report: two sleepers in step would show each other
    // ready for ever.
    let unwinds = Rc::new(Cell::new(false));
    let thread = spawn_local({
        let unwinds = unwinds.clone();
        move || {
            let _parked = OnDrop(|| {
                unwinds.set(true);
                while !go.get() {
                    sleep(MILLISECOND / 4);
                }
                assert!(panicking());
            });
            planned_panic();
        }
    });
    until(|| unwinds.get());
    thread
}

#[test]
fn panicking_does_not_leak_to_a_neighbour() {
    green("panicking does not leak", || {
        let go = Rc::new(Cell::new(false));
        let parked = parked_in_drop(&go);
        assert_eq!(std::thread::panicking(), thread_locals_are_shared());
        assert!(!panicking());
        let neighbour = spawn_local(|| {
            assert!(!panicking());
            yield_now();
            assert!(!panicking());
        });
        neighbour.join().unwrap();
        assert!(!std::thread::spawn(panicking).join().unwrap());
        go.set(true);
        assert!(parked.join().unwrap_err().is::<&str>());
        assert!(!std::thread::panicking());
    });
}

#[test]
fn a_neighbour_of_one_parked_in_a_drop_panics_and_is_killed_as_ever() {
    green("a neighbour of one", || {
        let go = Rc::new(Cell::new(false));
        let parked = [parked_in_drop(&go), parked_in_drop(&go)];
        let panics = spawn_local(|| {
            let _waits = OnDrop(|| sleep(MILLISECOND));
            planned_panic();
        });
        assert!(panics.join().unwrap_err().is::<&str>());
        let waits = Rc::new(Cell::new(0));
        let theirs = waits.clone();
        let victim = spawn_local(move || {
            let _waits = OnDrop(|| {
                sleep(MILLISECOND);
                theirs.set(1);
            });
            sleep(Duration::MAX);
        });
        until(|| site(&victim) == Some(Site::Sleep));
        victim.kill().unwrap();
        assert!(is_killed(victim.join()));
        assert_eq!(waits.get(), 1);
        assert!(greenhub::timeout(MILLISECOND, || sleep(Duration::MAX)).is_err());
        go.set(true);
        for parked in parked {
            assert!(parked.join().is_err());
        }
        assert!(!std::thread::panicking());
    });
}

#[test]
fn a_kill_that_was_caught_beside_one_parked_in_a_drop_comes_again() {
    green("a kill that was caught", || {
        let go = Rc::new(Cell::new(false));
        let parked = parked_in_drop(&go);
        let victim = spawn_local(|| {
            let caught = catch_unwind(|| sleep(Duration::MAX));
            drop(caught);
            assert!(!panicking());
            catch_unwind(|| sleep(10 * MILLISECOND)).is_err()
        });
        until(|| site(&victim) == Some(Site::Sleep));
        victim.kill().unwrap();
        assert!(victim.join().unwrap(), "the second wait ends too");
        go.set(true);
        let _ = parked.join();
    });
}

#[test]
fn a_panic_that_goes_through_a_scope_beside_one_parked_in_a_drop() {
    alone(
        "unwinding::a_panic_that_goes_through_a_scope_beside_one_parked_in_a_drop",
        &[],
        || {
            green("a panic that goes", || {
                let go = Rc::new(Cell::new(false));
                let parked = parked_in_drop(&go);
                let flushed = Rc::new(Cell::new(false));
                let theirs = flushed.clone();
                let killed = Arc::new(AtomicBool::new(false));
                let was_killed = killed.clone();
                let victim = spawn_local(move || {
                    // It waits, killed, while the scope's panic unwinds.
                    let _flush = OnDrop(|| {
                        sleep(MILLISECOND);
                        theirs.set(true);
                    });
                    green_thread::scope(|scope| {
                        scope.spawn(|| until(|| was_killed.load(SeqCst)));
                        fail_quietly("through a scope");
                    });
                });
                until(|| site(&victim) == Some(Site::Queue("end of a scope")));
                // So that nobody was parked in a drop when the panic was caught.
                victim.kill().unwrap();
                killed.store(true, SeqCst);
                assert!(victim.join().is_err());
                assert!(flushed.get());
                go.set(true);
                let _ = parked.join();
            });
        },
    )
    .well();
}

/// A thread that `raise` unwinds beside one parked in a drop, killed and out of
/// time while its destructor waits.
fn unwinds_unheard(raise: fn()) {
    green("unheard", move || {
        let go = Rc::new(Cell::new(false));
        let parked = parked_in_drop(&go);
        let (rolled_back, nested) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let (theirs, inner) = (rolled_back.clone(), nested.clone());
        let (begun, killed) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
        let (begins, was_killed) = (begun.clone(), killed.clone());
        let victim = spawn_local(move || {
            greenhub::timeout(MILLISECOND, || {
                let _rollback = OnDrop(|| {
                    assert!(panicking());
                    std::thread::sleep(2 * MILLISECOND);
                    begins.set(true);
                    until(|| was_killed.get());
                    // A limit of the destructor's own ends what it is around.
                    let within = || {
                        let _waits = OnDrop(|| sleep(MILLISECOND));
                        let raised = catch_unwind(|| {
                            let _waits = OnDrop(|| sleep(3 * MILLISECOND));
                            raise();
                        });
                        inner.set(inner.get() + i32::from(raised.is_err()));
                        sleep(Duration::MAX);
                    };
                    let limited = greenhub::timeout(MILLISECOND, within);
                    inner.set(inner.get() + i32::from(limited.is_err()));
                    yield_now();
                    theirs.set(true);
                });
                raise();
            })
        });
        until(|| begun.get());
        victim.kill().unwrap();
        killed.set(true);
        assert!(victim.join().is_err());
        assert!(rolled_back.get());
        assert_eq!(nested.get(), 2);
        go.set(true);
        let _ = parked.join();
    });
}

#[test]
fn an_unwind_that_no_hook_heard_of_is_not_interrupted_beside_one_parked_in_a_drop() {
    alone(
        "unwinding::an_unwind_that_no_hook_heard_of_is_not_interrupted_beside_one_parked_in_a_drop",
        &[],
        || unwinds_unheard(|| std::panic::resume_unwind(Box::new("not by a panic"))),
    )
    .well();
}

#[test]
fn a_panic_under_a_hook_set_later_is_not_interrupted_beside_one_parked_in_a_drop() {
    alone(
        "unwinding::a_panic_under_a_hook_set_later_is_not_interrupted_beside_one_parked_in_a_drop",
        &[],
        || {
            green("a panic under a hook set", || ());
            std::panic::set_hook(Box::new(|_| ()));
            unwinds_unheard(|| panic!("planned"));
        },
    )
    .well();
}

#[test]
fn one_that_caught_its_panic_beside_one_parked_in_a_drop_is_killed_and_limited_as_ever() {
    green("one that caught its", || {
        let go = Rc::new(Cell::new(false));
        let parked = parked_in_drop(&go);
        let caught = || {
            assert!(catch_unwind(|| planned_panic()).is_err());
            assert!(!panicking());
        };
        let limited = spawn_local(move || {
            caught();
            greenhub::timeout(MILLISECOND, || sleep(Duration::MAX)).is_err()
        });
        assert!(limited.join().unwrap());
        let victim = spawn_local(move || {
            caught();
            sleep(Duration::MAX);
        });
        until(|| site(&victim) == Some(Site::Sleep));
        victim.kill().unwrap();
        assert!(is_killed(victim.join()));
        go.set(true);
        let _ = parked.join();
    });
}

#[test]
fn a_std_mutex_may_be_poisoned_by_a_neighbour_parked_in_a_drop() {
    // Documented: std's locks tell a panic by thread-locals. Should this ever
    // fail where they are shared, the documentation can drop its warning.
    green("poison", || {
        let go = Rc::new(Cell::new(false));
        let parked = Rc::new(RefCell::new(None));
        let mutex = Mutex::new(());
        let guard = mutex.lock().unwrap();
        *parked.borrow_mut() = Some(parked_in_drop(&go));
        drop(guard);
        assert_eq!(mutex.is_poisoned(), thread_locals_are_shared());
        go.set(true);
        let parked = parked.take().unwrap();
        let _ = parked.join();
    });
}

#[test]
fn a_panic_hook_that_waits_does_not_suspend_the_green_thread() {
    alone(
        "unwinding::a_panic_hook_that_waits_does_not_suspend_the_green_thread",
        &[("GREEN_HUBS", "1")],
        || {
            let own = std::panic::take_hook();
            drop(own);
            std::panic::set_hook(Box::new(|_| {
                sleep(5 * MILLISECOND);
                yield_now();
                let (source, mut peer) = std::os::unix::net::UnixStream::pair().unwrap();
                source.set_nonblocking(true).unwrap();
                let source = greenhub::source::Source::new(source.into());
                // More calls than a green thread may make without giving way.
                for _ in 0..200 {
                    std::io::Write::write_all(&mut peer, b"x").unwrap();
                    source
                        .retry(greenhub::source::Direction::Read, Deadline::NEVER, |fd| {
                            socket2::SockRef::from(&fd).recv(&mut [std::mem::MaybeUninit::uninit()])
                        })
                        .unwrap();
                }
                let other = spawn(|| ());
                other.kill().unwrap();
            }));
            let panics: Vec<_> = (0..8).map(|n| spawn(move || panic_any(n))).collect();
            for (n, panics) in panics.into_iter().enumerate() {
                let payload: Box<i32> = panics.join().unwrap_err().downcast().unwrap();
                assert_eq!(*payload, n as i32);
            }
        },
    )
    .well();
}

#[test]
#[cfg_attr(
    green_sanitize = "address",
    ignore = "frames are larger with the sanitizer's gaps between variables"
)]
fn a_panic_with_a_back_trace_fits_the_smallest_stack() {
    let ended = alone(
        "unwinding::a_panic_with_a_back_trace_fits_the_smallest_stack",
        &[("RUST_BACKTRACE", "1")],
        || {
            let panics = Builder::new()
                .stack_size(1)
                .spawn(|| panic!("planned"))
                .unwrap();
            assert!(panics.join().unwrap_err().is::<&str>());
        },
    )
    .well();
    assert!(ended.errors.contains("stack backtrace"), "{}", ended.errors);
    assert!(
        !ended.errors.contains("generator::"),
        "the engine's frames are cut off"
    );
}
