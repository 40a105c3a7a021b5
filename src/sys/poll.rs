//! poll(2): how a plain OS thread waits for descriptors.
#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

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
    let mut fds = entries.map(|(fd, events)| libc::pollfd {
        fd,
        events,
        revents: 0,
    });
    let spec = timeout.map(|limit| libc::timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(limit.subsec_nanos() as i32),
    });
    let spec = spec
        .as_ref()
        .map_or(std::ptr::null(), |spec| &raw const *spec);
    // SAFETY: `fds` holds N entries and, like the time-out, lives across the
    // call; a null signal mask means none is changed.
    super::cvt(unsafe {
        libc::ppoll(fds.as_mut_ptr(), N as libc::nfds_t, spec, std::ptr::null())
    })?;
    Ok(fds.map(|entry| entry.revents))
}
