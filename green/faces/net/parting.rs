//! How a connection ends so that the peer gets all that was sent to it.

use std::io::Read;
use std::net::Shutdown;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::greenio::{GreenSocket, NonBlocking};

#[cfg(feature = "http")]
mod lingering;

#[cfg(feature = "http")]
pub(crate) use lingering::Lingering;

/// How much of what the peer sends is received and dropped: a peer that sends without end gets a reset.
const MOST: usize = 64 * 1024;

/// The same for [`Lingering`]: a peer in the middle of a long body may not look for an answer before it has sent all.
#[cfg(feature = "http")]
const MOST_ANSWERED: usize = 256 << 20;
/// How long such a peer may be silent without ending, and how many such times it gets.
#[cfg(feature = "http")]
const SILENCE: Duration = Duration::from_secs(2);
#[cfg(feature = "http")]
const ROUNDS: u32 = 15;

/// Ends our direction, and drops what the peer has sent and sends within `wait`, or until its end: unread bytes would
/// make the kernel send a reset on close, which can overtake what was sent before. With a `wait` of zero it does not wait.
///
/// The socket is to be closed then; its timeout may be another.
pub(crate) fn end_direction(socket: &GreenSocket, wait: Duration) {
    if socket.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let end = Deadline::after(wait);
    let mut piece = [0; 4096];
    let mut dropped = 0;
    while dropped < MOST {
        let heard = match end.remaining() {
            Some(Duration::ZERO) => NonBlocking(socket).read(&mut piece),
            left => socket
                .set_read_timeout(left)
                .and_then(|()| socket.recv(&mut piece)),
        };
        match heard {
            Ok(count @ 1..) => dropped += count,
            _ => return,
        }
    }
}
