//! Shielded waits: what ends them, and what waits until they are over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::green_thread::{sleep, spawn};
use greenhub::wait_queue::WaitQueue;
use greenhub::{shield, timeout};

use test_support::bounded;
use test_support::threads::{LIMIT, MILLISECOND, green, is_killed, planned_panic, until};

const NEVER: Duration = Duration::from_secs(3600);

/// A limit that is due by the time that a wait begins.
const AT_ONCE: Duration = Duration::from_micros(1);

/// Runs `body` on a green thread, and then on an OS thread.
fn both(name: &str, body: impl Fn() + Copy + Send + 'static) {
    green(name, body);
    bounded(name, LIMIT, body);
}

#[test]
fn a_kill_waits_for_the_end_of_a_shield_and_comes_at_the_next_wait() {
    green("shield and kill", || {
        let queue = std::sync::Arc::new(WaitQueue::new());
        let (woken, was_woken) = std::sync::mpsc::channel();
        let thread = spawn({
            let queue = queue.clone();
            move || {
                shield(|| queue.wait("a shielded wait", Deadline::NEVER, || true));
                woken.send(true).unwrap();
                sleep(NEVER);
                woken.send(false).unwrap();
            }
        });
        until(|| !queue.is_empty());
        thread.kill().unwrap();
        // A kill that did act has been seen by now.
        for _ in 0..10 {
            sleep(MILLISECOND);
            assert!(!queue.is_empty(), "the kill ended the shielded wait");
        }
        queue.wake_one();
        assert!(is_killed(thread.join()));
        assert_eq!(was_woken.try_iter().collect::<Vec<_>>(), [true]);
    });
}

#[test]
fn a_limit_around_a_shield_waits_for_its_end() {
    both("shield and limit", || {
        let mut slept = false;
        let cut = timeout(MILLISECOND, || {
            shield(|| {
                sleep(5 * MILLISECOND);
                slept = true;
            });
            sleep(NEVER);
        });
        assert!(cut.is_err());
        assert!(slept);
    });
}

#[test]
fn a_limit_inside_a_shield_ends_its_block_and_no_more() {
    both("limit in a shield", || {
        let ran = timeout(NEVER, || {
            shield(|| {
                assert!(timeout(AT_ONCE, || sleep(NEVER)).is_err());
                // An outer one inside is not interrupted by the inner shield's end.
                assert!(timeout(AT_ONCE, || shield(|| shield(|| sleep(MILLISECOND)))).is_ok());
                sleep(MILLISECOND);
                7
            })
        });
        assert_eq!(ran, Ok(7));
    });
}

#[test]
fn a_limit_inside_a_shield_holds_in_a_thread_that_is_being_killed() {
    green("limit in a shield beside a kill", || {
        let (tell, told) = std::sync::mpsc::channel();
        let thread = spawn(move || {
            shield(|| {
                tell.send(()).unwrap();
                // Until the kill, and beyond it.
                for _ in 0..10 {
                    timeout(MILLISECOND, || sleep(NEVER)).unwrap_err();
                }
                tell.send(()).unwrap();
            });
        });
        until(|| told.try_recv().is_ok());
        thread.kill().unwrap();
        // It comes to its end without another wait, so the kill does not act.
        assert!(thread.join().is_ok());
        assert!(told.try_recv().is_ok());
    });
}

#[test]
fn a_panic_out_of_a_shield_ends_it() {
    both("panic in a shield", || {
        let cut = timeout(10 * MILLISECOND, || {
            let failed = catch_unwind(AssertUnwindSafe(|| shield(planned_panic)));
            assert!(failed.is_err());
            sleep(NEVER);
        });
        assert!(cut.is_err(), "the limit around it holds again");
    });
}
