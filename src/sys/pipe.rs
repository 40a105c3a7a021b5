//! pipe2(2), read(2), write(2) and their vectored forms on borrowed descriptors.
//!
//! # Safety
//!
//! Every pointer handed to the kernel comes from a live slice together with that slice's own length, and every
//! descriptor from a [`BorrowedFd`], which is open for as long as the borrow lasts.
#![expect(
    unsafe_code,
    reason = "calls libc: part of the fence around raw system calls"
)]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::cvt;

/// The kernel takes no more slices than this in one vectored call (`UIO_MAXIOV`).
const SLICES_MAX: usize = 1024;

/// pipe2(2): a close-on-exec, non-blocking pipe, as (read end, write end).
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors that the call stores.
    cvt(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
    // SAFETY: the call succeeded, so both are open descriptors that nothing else owns.
    unsafe { Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))) }
}

/// read(2).
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of `buf`.
    count(unsafe { libc::read(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len()) })
}

/// readv(2).
pub(crate) fn readv(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let slices = bufs.len().min(SLICES_MAX) as libc::c_int;
    // SAFETY: `IoSliceMut` is promised to have the layout of `iovec`, and there are at least `slices` of them.
    count(unsafe { libc::readv(fd.as_raw_fd(), bufs.as_ptr().cast(), slices) })
}

/// write(2).
pub(crate) fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of `buf`.
    count(unsafe { libc::write(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len()) })
}

/// writev(2).
pub(crate) fn writev(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let slices = bufs.len().min(SLICES_MAX) as libc::c_int;
    // SAFETY: `IoSlice` is promised to have the layout of `iovec`, and there are at least `slices` of them.
    count(unsafe { libc::writev(fd.as_raw_fd(), bufs.as_ptr().cast(), slices) })
}

fn count(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
