//! The two ways to use a descriptor, and a look at whether one of them is ready now.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

#[cfg(feature = "sim")]
use crate::sys::epoll;
use crate::sys::poll;

/// One of the two ways to use a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Receiving, accepting.
    Read,
    /// Sending, connecting.
    Write,
}

/// Whether a call in this direction is worth a try at this moment.
pub(crate) fn poll_now(fd: RawFd, direction: Direction) -> io::Result<bool> {
    #[cfg(feature = "sim")]
    if let Some(world) = crate::world::here() {
        let events = match direction {
            Direction::Read => epoll::IN | epoll::RDHUP | epoll::PRI,
            Direction::Write => epoll::OUT,
        };
        return Ok(world.readiness(fd)? & (events | epoll::ERR | epoll::HUP) != 0);
    }
    let [revents] = poll::poll([(fd, poll_events(direction))], Some(Duration::ZERO))?;
    if revents & poll::INVALID != 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(revents != 0)
}

pub(crate) fn poll_events(direction: Direction) -> i16 {
    match direction {
        Direction::Read => poll::IN,
        Direction::Write => poll::OUT,
    }
}
