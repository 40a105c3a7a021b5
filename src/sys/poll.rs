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
/// without end. EINTR is returned, but not for a look that does not wait: that is made again.
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
    let is_look = timeout.is_some_and(|limit| limit.tv_sec == 0 && limit.tv_nsec == 0);
    loop {
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) if is_look => {}
            polled => {
                polled?;
                break;
            }
        }
    }
    Ok(fds.map(|fd| fd.revents().bits() as i16))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_look_is_not_interrupted_by_signals() {
        extern "C" fn nothing(_: libc::c_int) {}
        let nothing: extern "C" fn(libc::c_int) = nothing;
        // SAFETY: a handler that does nothing, of a signal that nobody else uses here.
        unsafe { libc::signal(libc::SIGURG, nothing as libc::sighandler_t) };
        // SAFETY: no arguments; the thread outlives the scope below.
        let looking = unsafe { libc::pthread_self() };
        let (quiet, _writer) = io::pipe().unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    // SAFETY: the thread waits for this one.
                    unsafe { libc::pthread_kill(looking, libc::SIGURG) };
                }
            });
            for _ in 0..100_000 {
                let looked = poll([(quiet.as_raw_fd(), IN)], Some(Duration::ZERO));
                if looked.as_ref().ok() != Some(&[0]) {
                    is_over.store(true, Ordering::Relaxed);
                }
                assert_eq!(looked.unwrap(), [0]);
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
