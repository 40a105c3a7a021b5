//! epoll(7): create, control, wait.
#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::cvt;

pub(crate) use libc::epoll_event as Event;

/// What every descriptor is registered for: both directions, edge-triggered,
/// with the peer's half-close (RDHUP) and urgent data (PRI) told apart.
pub(crate) const ALL: u32 =
    (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLPRI | libc::EPOLLET) as u32;
/// For the hub's own eventfd.
pub(crate) const IN_EDGE: u32 = (libc::EPOLLIN | libc::EPOLLET) as u32;

pub(crate) const IN: u32 = libc::EPOLLIN as u32;
pub(crate) const OUT: u32 = libc::EPOLLOUT as u32;
pub(crate) const PRI: u32 = libc::EPOLLPRI as u32;
pub(crate) const ERR: u32 = libc::EPOLLERR as u32;
pub(crate) const HUP: u32 = libc::EPOLLHUP as u32;
pub(crate) const RDHUP: u32 = libc::EPOLLRDHUP as u32;

/// An event slot to be filled by [`wait`].
pub(crate) const EMPTY: Event = Event { events: 0, u64: 0 };

/// epoll_create1(2), close-on-exec.
pub(crate) fn create() -> io::Result<OwnedFd> {
    // SAFETY: no pointer is passed; the result is checked before it is owned.
    let fd = cvt(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the kernel just gave this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// epoll_ctl(2) ADD.
pub(crate) fn add(epoll: BorrowedFd<'_>, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
    control(epoll, libc::EPOLL_CTL_ADD, fd, events, token)
}

/// epoll_ctl(2) MOD; `NotFound` when the open file registered under this
/// number is gone, even if the number is in use again.
pub(crate) fn modify(epoll: BorrowedFd<'_>, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
    control(epoll, libc::EPOLL_CTL_MOD, fd, events, token)
}

/// epoll_ctl(2) DEL.
pub(crate) fn delete(epoll: BorrowedFd<'_>, fd: RawFd) -> io::Result<()> {
    control(epoll, libc::EPOLL_CTL_DEL, fd, 0, 0)
}

fn control(epoll: BorrowedFd<'_>, op: i32, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
    let mut event = Event { events, u64: token };
    // SAFETY: `event` lives across the call; a wrong `fd` is an error (EBADF).
    cvt(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), op, fd, &mut event) }).map(drop)
}

/// epoll_pwait2(2), or epoll_wait(2) with the time rounded up to a millisecond
/// where the kernel is older than 5.11. `None` waits without end.
pub(crate) fn wait(
    epoll: BorrowedFd<'_>,
    events: &mut [Event],
    timeout: Option<Duration>,
) -> io::Result<usize> {
    static NO_PWAIT2: AtomicBool = AtomicBool::new(false);
    let fd = epoll.as_raw_fd();
    let capacity = i32::try_from(events.len()).unwrap_or(i32::MAX);
    match timeout {
        Some(limit) if !limit.is_zero() && !NO_PWAIT2.load(Ordering::Relaxed) => {
            let spec = libc::timespec {
                tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: libc::c_long::from(limit.subsec_nanos() as i32),
            };
            // SAFETY: `events` is valid for `capacity` entries, `spec` lives
            // across the call, a null signal mask means none is changed.
            let n = unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    fd,
                    events.as_mut_ptr(),
                    capacity,
                    &spec,
                    std::ptr::null::<libc::sigset_t>(),
                    0usize,
                )
            };
            if n >= 0 {
                return Ok(n as usize);
            }
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::ENOSYS) {
                return Err(error);
            }
            NO_PWAIT2.store(true, Ordering::Relaxed);
            wait(epoll, events, timeout)
        }
        _ => {
            let millis = match timeout {
                None => -1,
                Some(limit) => {
                    i32::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
                }
            };
            // SAFETY: `events` is valid for `capacity` entries.
            let n = cvt(unsafe { libc::epoll_wait(fd, events.as_mut_ptr(), capacity, millis) })?;
            Ok(n as usize)
        }
    }
}
