//! The end of a connection of green threads.

use std::io::Read;
use std::net::Shutdown;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::greenio::{GreenSocket, NonBlocking};

use super::MOST;

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
