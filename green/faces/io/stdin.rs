//! Standard input: a buffered reader of descriptor 0 behind a lock that green threads wait for.

use std::fmt;
use std::io::{self, BufRead, BufReader, IoSliceMut, Lines, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::OnceLock;

use super::raw;
use super::reentrant_lock::{ExclusiveGuard, ReentrantLock};

/// Returns a handle for the standard input of this process. All handles share one buffer.
///
/// # Examples
///
/// ```no_run
/// for line in green::io::stdin().lines() {
///     green::println!("{}", line?);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stdin() -> Stdin {
    static STDIN: OnceLock<ReentrantLock<BufReader<Descriptor>>> = OnceLock::new();
    Stdin {
        shared: STDIN.get_or_init(|| ReentrantLock::new("stdin", BufReader::new(Descriptor))),
    }
}

/// Descriptor 0. When it is closed it reads as empty.
struct Descriptor;

impl Read for Descriptor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        raw::if_open(raw::read(rustix::stdio::stdin(), buf), 0)
    }
}

/// A handle for standard input, made by [`stdin`].
///
/// A read parks the calling green thread while a terminal or pipe has nothing; a regular file is read at once. The
/// descriptor's flags are never changed, because other processes share it.
///
/// # Differences from std
///
/// The buffer is not that of `std::io::stdin`; see the [module](super)'s page.
pub struct Stdin {
    shared: &'static ReentrantLock<BufReader<Descriptor>>,
}

/// Exclusive use of standard input, made by [`Stdin::lock`].
pub struct StdinLock<'a> {
    buffered: ExclusiveGuard<'a, BufReader<Descriptor>>,
}

impl Stdin {
    /// Waits until no one else has standard input and returns a guard that reads from it.
    ///
    /// # Panics
    ///
    /// If this thread has it already: it would wait for itself.
    pub fn lock(&self) -> StdinLock<'static> {
        StdinLock {
            buffered: self.shared.lock_exclusive(),
        }
    }

    /// Locks and appends the next line, its end included, to `buf`. `Ok(0)` is the end of input.
    ///
    /// # Errors
    ///
    /// Those of read(2), and `InvalidData` when the line is not UTF-8.
    pub fn read_line(&self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_line(buf)
    }

    /// Locks and returns the lines one by one, without their ends.
    pub fn lines(self) -> Lines<StdinLock<'static>> {
        self.lock().lines()
    }
}

impl Read for Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.lock().read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.lock().read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.lock().read_exact(buf)
    }
}

impl Read for &Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.lock().read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.lock().read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.lock().read_exact(buf)
    }
}

impl Read for StdinLock<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.buffered.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.buffered.read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.buffered.read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        self.buffered.read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.buffered.read_exact(buf)
    }
}

impl BufRead for StdinLock<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.buffered.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.buffered.consume(count);
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdin()
    }
}

impl AsFd for StdinLock<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdin()
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsRawFd for StdinLock<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

// As in std: what a panic interrupts is one call on a buffered reader.
impl UnwindSafe for Stdin {}
impl RefUnwindSafe for Stdin {}
impl UnwindSafe for StdinLock<'_> {}
impl RefUnwindSafe for StdinLock<'_> {}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").finish_non_exhaustive()
    }
}

impl fmt::Debug for StdinLock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdinLock").finish_non_exhaustive()
    }
}
