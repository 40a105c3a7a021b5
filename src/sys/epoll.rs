//! epoll(7): create, control, wait.
#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{cvt, raw};

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

/// Where there is no epoll_wait(2) by itself, it is this one without a mask.
#[cfg(target_arch = "x86_64")]
const EPOLL_WAIT: libc::c_long = libc::SYS_epoll_wait;
#[cfg(not(target_arch = "x86_64"))]
const EPOLL_WAIT: libc::c_long = libc::SYS_epoll_pwait;

/// epoll_pwait2(2), or epoll_wait(2) with the time rounded up to a millisecond
/// where the kernel is older than 5.11, or a filter of system calls refuses the first, with whatever error.
/// `None` waits without end.
///
/// Without libc, which prepares each of these calls for `pthread_cancel`.
#[inline]
pub(crate) fn wait(
    epoll: BorrowedFd<'_>,
    events: &mut [Event],
    timeout: Option<Duration>,
) -> io::Result<usize> {
    static NO_PWAIT2: AtomicBool = AtomicBool::new(false);
    let fd = epoll.as_raw_fd() as usize;
    let slots = events.as_mut_ptr() as usize;
    let capacity = i32::try_from(events.len()).unwrap_or(i32::MAX) as usize;
    if let Some(limit) = timeout.filter(|limit| !limit.is_zero())
        && !NO_PWAIT2.load(Ordering::Relaxed)
    {
        let spec = libc::timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        let spec = &raw const spec as usize;
        // SAFETY: `events` is valid for `capacity` entries of plain numbers, `spec` lives across the call, a null signal
        // mask means that none is changed.
        let waited =
            unsafe { raw::call(libc::SYS_epoll_pwait2, [fd, slots, capacity, spec, 0, 0]) };
        match waited {
            Ok(_) => return waited,
            Err(ref error) if error.kind() == io::ErrorKind::Interrupted => return waited,
            // What else is wrong the other call will say.
            Err(_) => NO_PWAIT2.store(true, Ordering::Relaxed),
        }
    }
    let millis = match timeout {
        None => -1,
        Some(limit) => i32::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX),
    };
    // SAFETY: as above.
    unsafe { raw::call(EPOLL_WAIT, [fd, slots, capacity, millis as usize, 0, 0]) }
}
