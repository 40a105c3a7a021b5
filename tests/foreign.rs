//! Waits that end by a code, for code that was not written for green threads.

use std::cell::Cell;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use greenhub::Deadline;
use greenhub::foreign::{self, Waker};
use greenhub::green_thread::{self, Builder, sleep, spawn_local};
use greenhub::source::{Direction, Source};
use greenhub::wait_queue::ShortLock;
use greenhub::{Killed, Site, State, report, timeout, wait_readable, without_waiting};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);
const ECANCELED: i32 = rustix::io::Errno::CANCELED.raw_os_error();
const ETIMEDOUT: i32 = rustix::io::Errno::TIMEDOUT.raw_os_error();
const EBADF: i32 = rustix::io::Errno::BADF.raw_os_error();

/// Runs `body` as a green thread on hub 0, bounded in time.
fn green(name: &str, body: impl FnOnce() + Send + 'static) {
    test_support::bounded(name, Duration::from_secs(60), || {
        foreign::prepare().unwrap();
        let body = Builder::new().hub(0).spawn(body).unwrap();
        body.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn code<T>(outcome: io::Result<T>) -> Option<i32> {
    outcome.err().and_then(|error| error.raw_os_error())
}

fn until_waiting(fd: RawFd) {
    let state = State::Waiting(Site::Readable(fd));
    while !report().threads.iter().any(|thread| thread.state == state) {
        sleep(Duration::from_millis(1));
    }
}

fn readable(fd: RawFd, limit: Duration) -> io::Result<bool> {
    foreign::wait_fd(fd, Direction::Read, Deadline::after(limit))
}

#[test]
fn a_kill_is_told_by_a_code_and_ends_the_next_wait_that_can_unwind() {
    green("kill", || {
        let (ours, _peer) = UnixStream::pair().unwrap();
        let fd = ours.as_raw_fd();
        let waiter = spawn_local(move || {
            let codes = [
                code(readable(fd, LONG)),
                code(foreign::sleep_until(Deadline::after(LONG))),
                code(foreign::blocking(|| std::thread::sleep(SHORT))),
            ];
            assert_eq!(codes, [Some(ECANCELED); 3]);
            let done = foreign::blocking_uncut(|| 7);
            assert_eq!(done.unwrap(), 7);
            sleep(LONG);
        });
        until_waiting(fd);
        waiter.kill().unwrap();
        assert!(waiter.join().unwrap_err().is::<Killed>());
    });
}

#[test]
fn a_limit_that_was_told_makes_the_block_elapse_whatever_it_returns() {
    green("limit", || {
        let sleeping = || code(foreign::sleep_until(Deadline::after(LONG)));
        assert!(timeout(SHORT, || assert_eq!(sleeping(), Some(ETIMEDOUT))).is_err());
        // The inner block's limit is not the outer's.
        let outer = timeout(LONG, || timeout(SHORT, sleeping));
        assert!(outer.unwrap().is_err());
        let inner = timeout(SHORT, || {
            assert_eq!(timeout(LONG, sleeping), Ok(Some(ETIMEDOUT)));
        });
        assert!(inner.is_err());
        assert_eq!(timeout(LONG, || 7), Ok(7), "nothing is left over");
    });
}

#[test]
fn a_thread_that_ignores_what_it_is_told_lets_the_others_run() {
    green("ignores", || {
        let turns = Rc::new(Cell::new(0));
        let neighbour = spawn_local({
            let turns = turns.clone();
            move || {
                for _ in 0..100 {
                    turns.set(turns.get() + 1);
                    green_thread::yield_now();
                }
            }
        });
        let deaf = spawn_local(move || {
            for _ in 0..30 {
                let _ = foreign::sleep_until(Deadline::after(LONG));
            }
            turns.get()
        });
        green_thread::yield_now();
        deaf.kill().unwrap();
        assert_eq!(deaf.join().unwrap(), 100);
        neighbour.join().unwrap();
    });
}

#[test]
fn an_interrupt_ends_one_sleep_and_later_ones_last() {
    fn slept_on(wanted: i32) {
        assert_eq!(code(foreign::sleep(Deadline::after(LONG))), Some(wanted));
        let until = Deadline::after(SHORT);
        assert_eq!(code(foreign::sleep(until)), None);
        assert!(until.has_passed());
        // Other waits end as before.
        assert_eq!(
            code(foreign::sleep_until(Deadline::after(LONG))),
            Some(wanted)
        );
    }
    green("sleeps", || {
        let sleeper = spawn_local(|| {
            slept_on(ECANCELED);
            sleep(LONG);
        });
        green_thread::yield_now();
        sleeper.kill().unwrap();
        assert!(sleeper.join().unwrap_err().is::<Killed>());
        // Each limit is another one.
        for _ in 0..2 {
            assert!(timeout(SHORT, || slept_on(ETIMEDOUT)).is_err());
        }
    });
}

#[test]
fn whoever_ignores_what_it_is_told_rests_between_its_tries() {
    green("rests", || {
        let (tries, stop) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let deaf = spawn_local({
            let (tries, stop) = (tries.clone(), stop.clone());
            move || {
                while !stop.get() {
                    let _ = foreign::sleep_until(Deadline::after(LONG));
                    tries.set(tries.get() + 1);
                }
            }
        });
        green_thread::yield_now();
        deaf.kill().unwrap();
        while tries.get() < 20 {
            sleep(Duration::from_millis(1));
        }
        let before = tries.get();
        (0..1_000).for_each(|_| green_thread::yield_now());
        assert!(tries.get() - before < 500, "it has a turn each time");
        stop.set(true);
        deaf.join().unwrap();
    });
}

#[test]
fn a_park_is_ended_by_its_waker_and_by_nothing_else() {
    static WAKER: ShortLock<Option<Waker>> = ShortLock::new(None);
    static TAKEN_BACK: AtomicUsize = AtomicUsize::new(0);
    fn park(limit: Duration) -> bool {
        let enqueue = |waker| WAKER.lock().replace(waker).is_none();
        foreign::park("test", Deadline::after(limit), enqueue, || {
            WAKER.lock().take();
            TAKEN_BACK.fetch_add(1, Ordering::Relaxed);
        })
    }
    green("park", || {
        assert!(!park(SHORT));
        assert_eq!(TAKEN_BACK.load(Ordering::Relaxed), 1);
        let parked = spawn_local(|| timeout(SHORT, || park(LONG)));
        while WAKER.lock().is_none() {
            sleep(Duration::from_millis(1));
        }
        parked.kill().unwrap();
        sleep(2 * SHORT);
        assert!(!parked.is_finished());
        let waker = WAKER.lock().take().unwrap();
        assert!(waker.wake());
        assert_eq!(parked.join().unwrap(), Ok(true), "it was not told");
    });
}

#[test]
fn nobody_may_park_where_the_runtime_or_its_caller_cannot_bear_it() {
    assert!(!foreign::may_park(), "an OS thread");
    green("may park", || {
        assert!(foreign::may_park());
        assert!(!without_waiting("not here", foreign::may_park));
        assert!(!greenhub::on_os_thread(foreign::may_park));
        let lock = ShortLock::new(());
        let held = lock.lock();
        assert!(!foreign::may_park());
        drop(held);
        let queue = greenhub::wait_queue::WaitQueue::new();
        let mut in_a_wait = None;
        queue.wait("test", Deadline::NEVER, || {
            in_a_wait = Some(foreign::may_park());
            false
        });
        assert_eq!(in_a_wait, Some(false));
        assert!(foreign::may_park());
    });
}

#[test]
fn a_close_that_is_told_ends_the_waits() {
    green("closing", || {
        for before in [true, false] {
            let (ours, _peer) = UnixStream::pair().unwrap();
            let fd = ours.as_raw_fd();
            let waiters = [(); 3].map(|()| spawn_local(move || code(readable(fd, LONG))));
            let plain = spawn_local(move || wait_readable(&fd, Deadline::NEVER).is_err());
            until_waiting(fd);
            green_thread::yield_now();
            if before {
                foreign::closing(fd);
            }
            drop(ours);
            foreign::closed(fd);
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), Some(EBADF));
            }
            assert!(plain.join().unwrap());
        }
    });
}

#[test]
fn a_number_stays_registered_and_a_file_that_was_closed_in_secret_is_noticed() {
    green("kept", || {
        for _ in 0..100 {
            let (ours, mut peer) = UnixStream::pair().unwrap();
            let fd = ours.as_raw_fd();
            assert!(!readable(fd, Duration::from_micros(10)).unwrap());
            peer.write_all(b"x").unwrap();
            assert!(readable(fd, LONG).unwrap());
        }
    });
}

#[test]
fn a_number_that_is_kept_and_its_source_do_not_disturb_each_other() {
    green("beside a source", || {
        for _ in 0..3 {
            let (ours, mut peer) = UnixStream::pair().unwrap();
            let fd = ours.as_raw_fd();
            assert!(!readable(fd, Duration::from_micros(10)).unwrap());
            ours.set_nonblocking(true).unwrap();
            let source = Source::new(ours.into());
            let soon = Instant::now() + SHORT;
            assert!(!source.wait(Direction::Read, Deadline::at(soon)).unwrap());
            let foreign = spawn_local(move || readable(fd, LONG).unwrap());
            until_waiting(fd);
            peer.write_all(b"x").unwrap();
            assert!(foreign.join().unwrap());
            assert!(source.wait(Direction::Read, Deadline::NEVER).unwrap());
            drop(source);
        }
    });
}
