//! poll(2): how a plain OS thread waits for descriptors.
//!
//! Not by libc's functions: see [`eventfd`](super::eventfd).
#![expect(unsafe_code, reason = "descriptors that are known by their number")]

use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

pub(crate) const IN: i16 = libc::POLLIN;
pub(crate) const OUT: i16 = libc::POLLOUT;
/// Reported for a number that is no open descriptor.
pub(crate) const INVALID: i16 = libc::POLLNVAL;

/// Waits until one of `entries` (descriptor, events) is ready and gives each
/// one's returned events; all zero when `timeout` passed first. `None` waits
/// without end. EINTR is returned.
pub(crate) fn poll<const N: usize>(
    entries: [(RawFd, i16); N],
    timeout: Option<Duration>,
) -> io::Result<[i16; N]> {
    if entries.iter().any(|&(fd, _)| fd < 0) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    let mut fds = entries.map(|(fd, events)| {
        // SAFETY: it is looked at by the kernel alone, which tells of a number that
        // is not open; and it is not -1.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        PollFd::from_borrowed_fd(fd, PollFlags::from_bits_retain(events as u16))
    });
    let timeout = timeout.map(|limit| Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    });
    rustix::event::poll(&mut fds, timeout.as_ref())?;
    Ok(fds.map(|fd| fd.revents().bits() as i16))
}
