//! Reads and writes on descriptors that other processes share: the standard streams.
//!
//! O_NONBLOCK belongs to the open file, and the shell and our children use the same one, so it is left alone. Instead a
//! call is made when it cannot wait: with RWF_NOWAIT where the kernel knows it for this kind of file (pipes), else after
//! poll(2) has said "ready". When it would wait, the green thread parks in [`green::trampoline`](crate::trampoline) and tries again.
//!
//! One gap remains where RWF_NOWAIT is refused, terminals among them: another process may take the bytes between our
//! poll and our read, and then this OS thread waits for the next ones.
#![expect(unsafe_code, reason = "fstat")]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use greenhub::Deadline;
use greenhub::source::Direction;
use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev2};

/// "Where the file stands" in preadv2(2) and pwritev2(2).
const HERE: u64 = u64::MAX;

/// A pipe that poll(2) calls writable takes this much (`PIPE_BUF`) without waiting, in one piece.
const PIECE_BYTES: usize = 4096;

/// Whether a stream is a terminal.
///
/// # Differences from std
///
/// std's trait is sealed; this one covers everything that has a descriptor, std's types included.
///
/// # Examples
///
/// ```
/// use green::io::IsTerminal;
///
/// let (reader, _writer) = green::io::pipe()?;
/// assert!(!reader.is_terminal());
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait IsTerminal: AsFd {
    /// Returns `true` when the descriptor refers to a terminal.
    fn is_terminal(&self) -> bool {
        std::io::IsTerminal::is_terminal(&self.as_fd())
    }
}

impl<T: AsFd + ?Sized> IsTerminal for T {}

/// read(2) for which only the green thread waits.
pub(super) fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    if is_regular(fd)? {
        return Ok(rustix::io::read(fd, buf)?);
    }
    retry(fd, Direction::Read, |ready| {
        if ready == Ready::Unknown {
            let mut bufs = [IoSliceMut::new(buf)];
            preadv2(fd, &mut bufs, HERE, ReadWriteFlags::NOWAIT)
        } else {
            rustix::io::read(fd, &mut *buf)
        }
    })
}

/// write(2) for which only the green thread waits. May take fewer bytes than there are.
pub(super) fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    if is_regular(fd)? {
        return Ok(rustix::io::write(fd, buf)?);
    }
    retry(fd, Direction::Write, |ready| {
        if ready == Ready::Unknown {
            let bufs = [IoSlice::new(buf)];
            pwritev2(fd, &bufs, HERE, ReadWriteFlags::NOWAIT)
        } else {
            rustix::io::write(fd, &buf[..buf.len().min(PIECE_BYTES)])
        }
    })
}

/// As std does: a standard stream that is closed reads as empty and swallows what is written.
pub(super) fn if_open<T>(result: io::Result<T>, when_closed: T) -> io::Result<T> {
    match result {
        Err(error) if error.raw_os_error() == Some(Errno::BADF.raw_os_error()) => Ok(when_closed),
        result => result,
    }
}

/// Whether a call on the descriptor, made now, returns at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ready {
    /// Not known: the kernel must be told not to wait.
    Unknown,
    /// poll(2) says so.
    Polled,
}

fn retry(
    fd: BorrowedFd<'_>,
    direction: Direction,
    mut call: impl FnMut(Ready) -> rustix::io::Result<usize>,
) -> io::Result<usize> {
    loop {
        let mut result = call(Ready::Unknown);
        if result.is_err_and(nowait_unknown) {
            greenhub::trampoline(&fd, direction, Deadline::NEVER)?;
            result = call(Ready::Polled);
        }
        match result {
            Err(Errno::AGAIN) => greenhub::trampoline(&fd, direction, Deadline::NEVER)?,
            result => return Ok(result?),
        };
    }
}

/// The kernel, or this kind of file, has no RWF_NOWAIT.
fn nowait_unknown(error: Errno) -> bool {
    matches!(
        error,
        Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::SPIPE
    )
}

/// A regular file is always ready, and refuses RWF_NOWAIT when the disk is to be asked.
fn is_regular(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel writes one `stat`, which is that large, and whether it has is looked at first.
    let mode = unsafe {
        if libc::fstat(fd.as_raw_fd(), status.as_mut_ptr()) == -1 {
            return Err(io::Error::last_os_error());
        }
        status.assume_init_ref().st_mode
    };
    Ok(mode & libc::S_IFMT == libc::S_IFREG)
}
