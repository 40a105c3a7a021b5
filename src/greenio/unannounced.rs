//! Waiting for room that no event announces.
//!
//! Two calls report `EAGAIN` although the poller will never report the moment
//! they could succeed: connecting to a Unix listener whose queue is full, and
//! sending to the address of a Unix datagram (or netlink) socket whose queue is
//! full of *other* senders' messages. Both queues belong to the peer, and the
//! kernel tells only those who sleep inside the call. Nor does poll(2) report that
//! the peer has confirmed everything, which a socket that lingers waits for. So they
//! are tried again after a pause, from 1 ms doubling to 16 ms.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::green_thread::sleep;
use crate::source::{Direction, Source};

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// [`Source::retry`] for an operation that waits for something unannounced.
pub(super) fn retry_unannounced<T>(
    source: &Source,
    deadline: Deadline,
    mut op: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
) -> io::Result<T> {
    let mut pause = FIRST_PAUSE;
    loop {
        match source.retry(Direction::Write, Deadline::NOW, &mut op) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !deadline.has_passed() => {
                sleep(deadline.remaining().map_or(pause, |left| left.min(pause)));
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            outcome => return outcome,
        }
    }
}
