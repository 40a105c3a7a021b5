//! Waits for a descriptor by its number, beside the source that owns it.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenhub::Deadline;
use greenhub::green_thread::{Builder, JoinHandle, sleep, spawn_local};
use greenhub::source::{Direction, Source};
use greenhub::{ClosedLocally, Site, State, report, wait_readable};

const LIMIT: Duration = Duration::from_secs(60);

/// Runs `body` as a green thread on hub 0, bounded in time.
fn green(name: &str, body: impl FnOnce() + Send + 'static) {
    test_support::bounded(name, LIMIT, || {
        let body = Builder::new().hub(0).spawn(body).unwrap();
        body.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn pair() -> (Source, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Source::new(ours.into()), theirs)
}

fn receive(source: &Source) -> std::io::Result<usize> {
    source.retry(Direction::Read, Deadline::NEVER, |fd| {
        Ok(rustix::io::read(fd, &mut [0; 8])?)
    })
}

/// How many green threads wait until `fd` is readable.
fn waiting(fd: RawFd) -> usize {
    let state = State::Waiting(Site::Readable(fd));
    report().threads.iter().filter(|t| t.state == state).count()
}

fn until_waiting(fd: RawFd, count: usize) {
    while waiting(fd) != count {
        sleep(Duration::from_millis(1));
    }
}

fn by_number(fd: RawFd) -> JoinHandle<std::io::Result<bool>> {
    spawn_local(move || wait_readable(&fd, Deadline::NEVER))
}

#[test]
fn a_source_and_those_who_know_its_number_wait_side_by_side() {
    green("side by side", || {
        for source_first in [false, true] {
            let (source, mut peer) = pair();
            let (fd, source) = (source.as_raw_fd(), Arc::new(source));
            let owner = || {
                let source = source.clone();
                spawn_local(move || receive(&source))
            };
            let early = source_first.then(owner);
            until_waiting(fd, early.iter().count());
            let others = [by_number(fd), by_number(fd)];
            until_waiting(fd, others.len() + early.iter().count());
            let owner = early.unwrap_or_else(owner);
            until_waiting(fd, others.len() + 1);

            peer.write_all(b"x").unwrap();
            assert_eq!(owner.join().unwrap().unwrap(), 1);
            for other in others {
                assert!(other.join().unwrap().unwrap());
            }

            // The source is told of what comes after the others have left.
            let owner = spawn_local({
                let source = source.clone();
                move || receive(&source)
            });
            until_waiting(fd, 1);
            peer.write_all(b"xy").unwrap();
            assert_eq!(owner.join().unwrap().unwrap(), 2);
        }
    });
}

#[test]
fn a_wait_by_number_that_times_out_leaves_the_others_waiting() {
    green("times out", || {
        let (mut ours, mut peer) = UnixStream::pair().unwrap();
        let fd = ours.as_raw_fd();
        let others = [by_number(fd), by_number(fd)];
        until_waiting(fd, 2);
        let soon = Instant::now() + Duration::from_millis(5);
        assert!(!wait_readable(&fd, Deadline::at(soon)).unwrap());
        assert_eq!(waiting(fd), 2);
        peer.write_all(b"x").unwrap();
        for other in others {
            assert!(other.join().unwrap().unwrap());
        }
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
    });
}

#[test]
fn a_close_ends_the_waits_by_number_at_once() {
    let body = |dropped: bool| {
        let (source, _peer) = pair();
        let fd = source.as_raw_fd();
        let here = by_number(fd);
        let hub = Builder::new().hub(greenhub::hub_count().unwrap() - 1);
        let there = hub
            .spawn(move || wait_readable(&fd, Deadline::NEVER))
            .unwrap();
        until_waiting(fd, 2);
        let closed = match dropped {
            true => {
                drop(source);
                None
            }
            false => {
                source.close();
                Some(source)
            }
        };
        let ended = [here.join().unwrap(), there.join().unwrap()];
        for outcome in ended {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotConnected);
            assert!(ClosedLocally::caused(&error));
        }
        drop(closed);
    };
    green("closed", move || body(false));
    green("dropped", move || body(true));
}

#[test]
fn a_descriptor_that_is_given_away_is_waited_for_further() {
    green("given away", || {
        let (source, mut peer) = pair();
        let fd = source.as_raw_fd();
        // Both have registered.
        assert!(
            !source
                .wait(Direction::Read, Deadline::at(Instant::now()))
                .unwrap()
        );
        let waiter = by_number(fd);
        until_waiting(fd, 1);
        let given = source.into_fd();
        assert_eq!(given.as_raw_fd(), fd);
        peer.write_all(b"x").unwrap();
        assert!(waiter.join().unwrap().unwrap());
    });
}

/// The number was closed with no word to us, and is a source's now, of this hub or of another one.
#[test]
fn a_wait_by_number_ends_when_a_source_registers_another_file_under_it() {
    let body = |hub: usize| {
        let (old, _old_peer) = UnixStream::pair().unwrap();
        let (new, mut peer) = UnixStream::pair().unwrap();
        new.set_nonblocking(true).unwrap();
        let fd = old.as_raw_fd();
        let waiter = by_number(fd);
        until_waiting(fd, 1);
        let mut number = OwnedFd::from(old);
        rustix::io::dup2(&new, &mut number).unwrap();
        let source = Arc::new(Source::new(number));
        let owner = {
            let source = source.clone();
            let owner = Builder::new().hub(hub);
            owner.spawn(move || receive(&source)).unwrap()
        };
        let error = waiter.join().unwrap().unwrap_err();
        assert!(ClosedLocally::caused(&error), "{error}");
        peer.write_all(b"x").unwrap();
        assert_eq!(owner.join().unwrap().unwrap(), 1);
    };
    green("the same hub", move || body(0));
    green("another hub", move || {
        body(greenhub::hub_count().unwrap() - 1)
    });
}
