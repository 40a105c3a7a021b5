//! Shielded waits: what ends them, and what waits until they are over.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::green_thread::{Builder, current, scope, sleep, spawn};
use greenhub::source::{Direction, Source};
use greenhub::wait_queue::WaitQueue;
use greenhub::{shield, timeout};

use test_support::bounded;
use test_support::threads::{LIMIT, MILLISECOND, green, is_killed, planned_panic, prepare, until};

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

/// Waits where it is dropped, and says whether it came to the end of that.
struct Slow(Arc<AtomicBool>);

impl Drop for Slow {
    fn drop(&mut self) {
        sleep(MILLISECOND);
        self.0.store(true, SeqCst);
    }
}

/// A waker's wake drops it.
impl Wake for Slow {
    fn wake(self: Arc<Self>) {}
}

/// A passed limit around `call` does not cut short what that drops, and then ends the next wait.
fn outlives_a_limit(call: impl FnOnce(), over: &AtomicBool) {
    let cut = timeout(AT_ONCE, || {
        call();
        assert!(over.load(SeqCst));
        sleep(NEVER);
    });
    assert!(cut.is_err());
}

#[test]
fn a_limit_of_whoever_drops_the_last_handle_does_not_cut_the_result_short() {
    green("last handle", || {
        let over = Arc::new(AtomicBool::new(false));
        let slow = Slow(over.clone());
        let here = || Builder::new().hub(current().hub().unwrap());
        let ended = here().spawn(|| slow).unwrap();
        ended.wait();
        outlives_a_limit(|| drop(ended), &over);
        // Nor does a scope take it for a panic.
        over.store(false, SeqCst);
        scope(|scope| {
            let slow = Slow(over.clone());
            let ended = here().spawn_scoped(scope, || slow).unwrap();
            until(|| ended.is_finished());
            outlives_a_limit(|| drop(ended), &over);
        });
    });
}

#[test]
fn a_limit_of_an_os_thread_does_not_cut_short_the_waker_that_it_calls() {
    prepare();
    bounded("waker", LIMIT, || {
        let over = Arc::new(AtomicBool::new(false));
        let waker = Waker::from(Arc::new(Slow(over.clone())));
        let (near, _far) = UnixStream::pair().unwrap();
        let source = Source::new(OwnedFd::from(near));
        let poller = source.poller();
        let would_block = |_: BorrowedFd<'_>| Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let mut context = Context::from_waker(&waker);
        let polled = source.poll(&poller, Direction::Read, &mut context, would_block);
        assert!(polled.is_pending());
        drop(waker);
        outlives_a_limit(|| source.close(), &over);
    });
}
