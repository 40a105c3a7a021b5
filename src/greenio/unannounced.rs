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
use std::time::{Duration, Instant};

use crate::green_thread::sleep;
use crate::source::{Direction, Patience, Source};
use crate::wait_queue::deadline_after;

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// [`Source::retry`] for an operation that waits for something unannounced.
pub(super) fn retry_unannounced<T>(
    source: &Source,
    patience: Patience,
    mut op: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
) -> io::Result<T> {
    let once = Patience {
        nonblocking: true,
        limit: None,
    };
    let deadline = patience.limit.and_then(deadline_after);
    let mut pause = FIRST_PAUSE;
    loop {
        match source.retry(Direction::Write, once, &mut op) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !patience.nonblocking => {
                let left = deadline.map_or(pause, |deadline| {
                    deadline.saturating_duration_since(Instant::now())
                });
                if left.is_zero() {
                    return Err(error);
                }
                sleep(pause.min(left));
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            outcome => return outcome,
        }
    }
}
