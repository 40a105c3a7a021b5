//! One test in a process of its own: it takes descriptor numbers away.

use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::green_thread::{sleep, spawn_local};
use greenhub::source::{Direction, Source};
use greenhub::{ClosedLocally, Site, State};

#[test]
fn a_number_issued_anew_ends_the_old_wait_and_serves_the_new_one() {
    greenhub::run(|| {
        let (old, _old_peer) = UnixStream::pair().unwrap();
        let number = old.as_raw_fd();
        let waiter = spawn_local(move || greenhub::wait_readable(&number, Deadline::NEVER));
        let waits = || {
            greenhub::report()
                .threads
                .iter()
                .any(|thread| thread.state == State::Waiting(Site::Readable(number)))
        };
        while !waits() {
            sleep(Duration::from_millis(1));
        }
        let (new, mut new_peer) = UnixStream::pair().unwrap();
        new.set_nonblocking(true).unwrap();
        // Closed behind the waiter's back, and the number used for another, in one breath: nobody else gets it.
        let new = Source::new(reissue(new.into(), old.into_raw_fd()));
        let reader = spawn_local(move || new.wait(Direction::Read, Deadline::NEVER));
        let error = waiter.join().unwrap().unwrap_err();
        assert!(ClosedLocally::caused(&error));
        new_peer.write_all(b"new").unwrap();
        assert!(reader.join().unwrap().unwrap());
    });
}

#[expect(unsafe_code, reason = "the test gives a number a new open file")]
fn reissue(file: OwnedFd, number: i32) -> OwnedFd {
    unsafe extern "C" {
        fn dup2(old: i32, new: i32) -> i32;
    }
    // SAFETY: the caller owned the number and gave it up, so what dup2 closes and
    // what it gives belong to us.
    unsafe {
        assert_eq!(dup2(file.as_raw_fd(), number), number);
        OwnedFd::from_raw_fd(number)
    }
}
