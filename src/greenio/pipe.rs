//! A pipe end, or any other pipe-like descriptor, in blocking style: reads and writes park the calling green thread.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::deadline::Deadline;
use crate::source::{Direction, Source};
use crate::sys::fd::set_nonblocking;
use crate::sys::pipe as sys;

/// One end of a pipe, a FIFO, a terminal or another byte device, for green threads and OS threads alike.
///
/// It reads and writes as a blocking descriptor does: a read returns what there is and waits while there is nothing,
/// a write returns when every byte has been taken. Only the calling green thread waits. The descriptor underneath is
/// non-blocking; [`into_fd`](GreenPipe::into_fd) makes it blocking again.
///
/// Regular files are always ready and cannot be waited for: reads and writes on one work, on the calling OS thread.
/// `green::fs::File` is the type for them.
///
/// # Errors
///
/// Writing to a pipe without a reader fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe), at once. (Rust programs
/// ignore SIGPIPE from their start; a host program not written in Rust must do so itself.) Reading from one without
/// a writer returns `Ok(0)`. Reads and writes fail with [`Interrupted`](io::ErrorKind::Interrupted) when a signal
/// handler ran in the middle, as those of `std` do.
///
/// # Examples
///
/// ```
/// use green::greenio::GreenPipe;
///
/// let (reader, writer) = GreenPipe::pair()?;
/// assert_eq!(writer.write(b"three")?, 5);
/// let mut buf = [0; 16];
/// assert_eq!(reader.read(&mut buf)?, 5);
/// drop(writer);
/// assert_eq!(reader.read(&mut buf)?, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct GreenPipe {
    source: Source,
}

impl GreenPipe {
    /// Makes a pipe and returns its (read end, write end). Both are closed in programs that this one executes.
    ///
    /// # Errors
    ///
    /// Those of pipe2(2): too many open descriptors.
    pub fn pair() -> io::Result<(GreenPipe, GreenPipe)> {
        #[cfg(feature = "sim")]
        crate::world::refuse("a pipe")?;
        let (reader, writer) = sys::pipe()?;
        Ok((
            GreenPipe {
                source: Source::new(reader),
            },
            GreenPipe {
                source: Source::new(writer),
            },
        ))
    }

    /// Takes over a descriptor and makes it non-blocking.
    ///
    /// O_NONBLOCK belongs to the open file, so every other descriptor of the same open file becomes non-blocking too,
    /// also in other processes. `green::io::stdin`, `stdout` and `stderr` never do this to descriptors 0, 1 and 2.
    pub fn new(fd: OwnedFd) -> GreenPipe {
        // It fails for a descriptor that is not open only, which an `OwnedFd` rules out.
        let _ = set_nonblocking(fd.as_fd(), true);
        GreenPipe {
            source: Source::new(fd),
        }
    }

    /// Reads what there is, at most `buf.len()` bytes, waiting until there is something. `Ok(0)` is the end.
    ///
    /// # Errors
    ///
    /// See [`GreenPipe`].
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.source
            .retry(Direction::Read, Deadline::NEVER, |fd| sys::read(fd, buf))
    }

    /// As [`read`](GreenPipe::read), into several buffers in turn.
    ///
    /// # Errors
    ///
    /// See [`GreenPipe`].
    pub fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.source
            .retry(Direction::Read, Deadline::NEVER, |fd| sys::readv(fd, bufs))
    }

    /// As [`read`](GreenPipe::read), but fails with [`WouldBlock`](io::ErrorKind::WouldBlock) instead of waiting.
    ///
    /// # Errors
    ///
    /// See [`GreenPipe`].
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.source
            .retry(Direction::Read, Deadline::NOW, |fd| sys::read(fd, buf))
    }

    /// Writes all of `buf`, waiting for the reader as often as needed, and returns its length.
    ///
    /// After an error in the middle it returns the number of bytes taken before; the error comes with the next call.
    /// Up to `PIPE_BUF` (4096) bytes enter a pipe in one piece, even if others write to it too.
    ///
    /// # Errors
    ///
    /// See [`GreenPipe`].
    pub fn write(&self, buf: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        loop {
            let rest = &buf[written..];
            match self
                .source
                .retry(Direction::Write, Deadline::NEVER, |fd| sys::write(fd, rest))
            {
                Ok(0) => return Ok(written),
                Ok(count) => written += count,
                Err(error) if written == 0 => return Err(error),
                Err(_) => return Ok(written),
            }
            if written == buf.len() {
                return Ok(written);
            }
        }
    }

    /// As [`write`](GreenPipe::write), from several buffers in turn; it may return before all of them are taken.
    ///
    /// # Errors
    ///
    /// See [`GreenPipe`].
    pub fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source.retry(Direction::Write, Deadline::NEVER, |fd| {
            sys::writev(fd, bufs)
        })
    }

    /// Writes what the pipe takes at once, and fails with [`WouldBlock`](io::ErrorKind::WouldBlock) when it is full.
    ///
    /// # Errors
    ///
    /// See [`GreenPipe`].
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.source
            .retry(Direction::Write, Deadline::NOW, |fd| sys::write(fd, buf))
    }

    /// Ends every wait on this end and releases the open file; the peer sees the end of the pipe.
    ///
    /// Waits in progress and later calls fail with [`NotConnected`](io::ErrorKind::NotConnected).
    pub fn close(&self) {
        self.source.close();
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Gives up the descriptor, blocking again.
    pub fn into_fd(self) -> OwnedFd {
        let fd = self.source.into_fd();
        let _ = set_nonblocking(fd.as_fd(), false);
        fd
    }
}

// A panic leaves no pipe half-changed: its state is the kernel's.
impl UnwindSafe for GreenPipe {}
impl RefUnwindSafe for GreenPipe {}

impl Read for &GreenPipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        GreenPipe::read(self, buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        GreenPipe::read_vectored(self, bufs)
    }
}

impl Read for GreenPipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        GreenPipe::read(self, buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        GreenPipe::read_vectored(self, bufs)
    }
}

impl Write for &GreenPipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        GreenPipe::write(self, buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        GreenPipe::write_vectored(self, bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for GreenPipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        GreenPipe::write(self, buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        GreenPipe::write_vectored(self, bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for GreenPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl AsRawFd for GreenPipe {
    fn as_raw_fd(&self) -> RawFd {
        self.source.as_fd().as_raw_fd()
    }
}
