//! fcntl(2), dup(2) and shutdown(2) on descriptors.
#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::sync::OnceLock;
use std::time::Duration;

use socket2::SockRef;

use super::cvt;

/// Sets or clears O_NONBLOCK on the open file, without a system call more than
/// needed.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    // SAFETY: F_GETFL takes no argument.
    let flags = cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    let wanted = if nonblocking {
        flags | libc::O_NONBLOCK
    } else {
        flags & !libc::O_NONBLOCK
    };
    if wanted != flags {
        // SAFETY: F_SETFL takes an int.
        cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, wanted) })?;
    }
    Ok(())
}

/// Lets `look` ask something about the descriptor with this number, which may by now belong to another file, or to
/// none: `look` must change nothing.
pub(crate) fn look_at_number<T>(fd: RawFd, look: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
    // SAFETY: it is used for the length of `look`; a number that is nobody's is an error of the call made with it.
    (fd >= 0).then(|| look(unsafe { BorrowedFd::borrow_raw(fd) }))
}

/// shutdown(2) in both directions; errors (not a socket, not connected) do not
/// matter to the one caller, who closes next.
///
/// It does nothing if closing is to reset the connection (`SO_LINGER` of zero): the end that would be sent before
/// the reset would look like that of a complete stream.
pub(crate) fn shutdown_both(fd: BorrowedFd<'_>) {
    if matches!(SockRef::from(&fd).linger(), Ok(Some(Duration::ZERO))) {
        return;
    }
    // SAFETY: no pointer is passed.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_RDWR) };
}

/// How long the kernel would wait in close(2) of a socket that lingers; `None`
/// where it would not.
pub(crate) fn linger(fd: BorrowedFd<'_>) -> Option<Duration> {
    let time = SockRef::from(&fd).linger().ok()??;
    (!time.is_zero()).then_some(time)
}

/// Makes sure that close(2) does not wait: the kernel then does what is left in the background.
pub(crate) fn linger_in_background(fd: RawFd) {
    let mut setting = libc::linger {
        l_onoff: 0,
        l_linger: 0,
    };
    let mut len = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: `setting` is valid for `len` bytes; a wrong `fd` is an error.
    let asked = unsafe {
        let setting = (&raw mut setting).cast();
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, setting, &mut len)
    };
    if asked == 0 && setting.l_onoff != 0 && setting.l_linger != 0 {
        setting.l_onoff = 0;
        // SAFETY: as above.
        unsafe {
            let setting = (&raw const setting).cast();
            libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, setting, len)
        };
    }
}

/// Whether closing the socket would reset its connection (`SO_LINGER` of zero).
#[cfg(feature = "sim")]
pub(crate) fn resets_when_closed(fd: RawFd) -> bool {
    let mut setting = libc::linger {
        l_onoff: 0,
        l_linger: 0,
    };
    let mut len = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: `setting` is valid for `len` bytes; a wrong `fd` is an error.
    let asked = unsafe {
        let setting = (&raw mut setting).cast();
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, setting, &mut len)
    };
    asked == 0 && setting.l_onoff != 0 && setting.l_linger == 0
}

/// `pread(2)`.
#[cfg(feature = "sim")]
pub(crate) fn read_at(fd: BorrowedFd<'_>, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    Ok(rustix::io::pread(fd, buf, offset)?)
}

/// Releases the open file behind `fd` at once while its number stays taken: an
/// unconnected socket, on which every call fails, takes its place. So a call
/// that another thread is about to make on this number can never meet somebody
/// else's descriptor.
pub(crate) fn replace_by_dead(fd: BorrowedFd<'_>) -> io::Result<()> {
    static DEAD: OnceLock<UnixDatagram> = OnceLock::new();
    let dead = match DEAD.get() {
        Some(dead) => dead,
        None => {
            let fresh = UnixDatagram::unbound()?;
            fresh.set_nonblocking(true)?;
            // A socket whose reading side is shut down would answer reads with
            // an end of file; an open unbound one answers EAGAIN, and writes
            // with ENOTCONN.
            DEAD.get_or_init(|| fresh)
        }
    };
    // SAFETY: no pointer is passed; dup3 replaces the open file atomically.
    cvt(unsafe { libc::dup3(dead.as_raw_fd(), fd.as_raw_fd(), libc::O_CLOEXEC) }).map(drop)
}

/// A duplicate, close-on-exec, of the open file behind a descriptor's number.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes an int; a wrong `fd` is an error (EBADF).
    let fd = cvt(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })?;
    // SAFETY: the kernel just gave this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
