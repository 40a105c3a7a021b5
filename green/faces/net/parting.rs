//! How a connection ends so that the peer gets all that was sent to it.

use std::io::Read;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use greenhub::greenio::{GreenSocket, NonBlocking};

/// How much of what the peer sends is received and dropped: a peer that sends without end gets a reset.
const MOST: usize = 64 * 1024;

/// Ends our direction, and drops what the peer has sent and sends within `wait`, or until its end: unread bytes would
/// make the kernel send a reset on close, which can overtake what was sent before. With a `wait` of zero it does not wait.
///
/// The socket is to be closed then; its timeout may be another.
pub(crate) fn end_direction(socket: &GreenSocket, wait: Duration) {
    if socket.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let began = Instant::now();
    let mut piece = [0; 4096];
    let mut dropped = 0;
    while dropped < MOST {
        let left = wait.saturating_sub(began.elapsed());
        let heard = match left.is_zero() {
            true => NonBlocking(socket).read(&mut piece),
            false => socket
                .set_read_timeout(Some(left))
                .and_then(|()| socket.recv(&mut piece)),
        };
        match heard {
            Ok(count @ 1..) => dropped += count,
            _ => return,
        }
    }
}
