//! Standard output, line by line, and standard error, unbuffered, each behind a lock that green threads wait for.
//!
//! # Safety
//!
//! The only unsafe code asks libc to call a function of ours at the end of the process.
#![expect(
    unsafe_code,
    reason = "atexit: std's own clean-up knows nothing of our buffer"
)]

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IoSlice, LineWriter, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::process::Stdio;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::raw;
use super::reentrant_lock::{ReentrantGuard, ReentrantLock};

static STDOUT: LazyLock<ReentrantLock<LineWriter<Output>>> = LazyLock::new(|| {
    // SAFETY: the function is `extern "C"`, takes nothing and does not unwind. Should it be refused, then what the last
    // unfinished line holds is lost at the end of the process, no more.
    unsafe { libc::atexit(flush_at_exit) };
    ReentrantLock::new("stdout", LineWriter::new(Output))
});

static STDERR: ReentrantLock<Errors> = ReentrantLock::new("stderr", Errors);

/// The process is ending: nobody parks any more.
static EXITING: AtomicBool = AtomicBool::new(false);

extern "C" fn flush_at_exit() {
    EXITING.store(true, Ordering::SeqCst);
    // Who has the lock now will not be resumed. Its unfinished line is lost, as it is with std.
    if let Some(mut writer) = STDOUT.try_value() {
        let _ = writer.flush();
    }
}

/// Descriptor 1.
struct Output;

/// Descriptor 2.
struct Errors;

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        write(rustix::stdio::stdout(), buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Errors {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        write(rustix::stdio::stderr(), buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    let result = if EXITING.load(Ordering::SeqCst) {
        rustix::io::write(fd, buf).map_err(io::Error::from)
    } else {
        raw::write(fd, buf)
    };
    raw::if_open(result, buf.len())
}

/// All slices joined into one. std's own writers pass several slices on only to writers that accept them, which they
/// say by an unstable method; others get only the first.
fn joined<'a>(bufs: &'a [IoSlice<'_>]) -> Cow<'a, [u8]> {
    match bufs {
        [one] => Cow::Borrowed(one),
        _ => Cow::Owned(bufs.iter().fold(Vec::new(), |mut all, buf| {
            all.extend_from_slice(buf);
            all
        })),
    }
}

/// Returns a handle for the standard output of this process. All handles share one line buffer.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// writeln!(green::io::stdout(), "a line")?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stdout() -> Stdout {
    Stdout { shared: &STDOUT }
}

/// Returns a handle for the standard error of this process. Nothing is buffered.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// writeln!(green::io::stderr(), "a warning")?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stderr() -> Stderr {
    Stderr { shared: &STDERR }
}

/// A handle for standard output, made by [`stdout`].
///
/// Bytes are kept until a line ends, [`flush`](Write::flush) is called, the buffer is full or the process exits. A
/// write parks the calling green thread while the terminal or pipe is full; a regular file is written at once. The
/// descriptor's flags are never changed, because other processes share it.
///
/// # Differences from std
///
/// The buffer is not that of `std::io::stdout`, and libtest does not capture it; see the [module](super)'s page.
pub struct Stdout {
    shared: &'static ReentrantLock<LineWriter<Output>>,
}

/// Use of standard output by one thread, made by [`Stdout::lock`]. The same thread may lock again.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// let mut held = green::io::stdout().lock();
/// writeln!(held, "no other thread's line")?;
/// writeln!(held, "comes between these")?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct StdoutLock<'a> {
    held: ReentrantGuard<'a, LineWriter<Output>>,
}

/// A handle for standard error, made by [`stderr`].
///
/// Every write goes out at once. It parks the calling green thread while the terminal or pipe is full.
///
/// # Differences from std
///
/// libtest does not capture it.
pub struct Stderr {
    shared: &'static ReentrantLock<Errors>,
}

/// Use of standard error by one thread, made by [`Stderr::lock`]. The same thread may lock again.
pub struct StderrLock<'a> {
    held: ReentrantGuard<'a, Errors>,
}

macro_rules! impl_stream {
    ($handle:ident, $lock:ident, $descriptor:path) => {
        impl $handle {
            /// Waits until no other thread has the stream and returns a guard that writes to it.
            pub fn lock(&self) -> $lock<'static> {
                $lock { held: self.shared.lock() }
            }
        }

        impl_stream!(@write $handle, lock);
        impl_stream!(@write &$handle, lock);

        impl Write for $lock<'_> {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.held.value().write(buf)
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.held.value().write(&joined(bufs))
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                self.held.value().write_all(buf)
            }

            fn flush(&mut self) -> io::Result<()> {
                self.held.value().flush()
            }
        }

        impl_stream!(@descriptor $handle, $handle, $descriptor);
        impl_stream!(@descriptor $lock, $lock<'_>, $descriptor);

        impl From<$handle> for Stdio {
            /// Lets a child process write to this very stream.
            fn from(_: $handle) -> Stdio {
                match $descriptor().try_clone_to_owned() {
                    Ok(fd) => Stdio::from(fd),
                    Err(_) => Stdio::inherit(),
                }
            }
        }

        impl UnwindSafe for $handle {}
        impl RefUnwindSafe for $handle {}
        impl UnwindSafe for $lock<'_> {}
        impl RefUnwindSafe for $lock<'_> {}
    };

    (@write $handle:ty, $lock:ident) => {
        impl Write for $handle {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.$lock().write(buf)
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.$lock().write_vectored(bufs)
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                self.$lock().write_all(buf)
            }

            fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
                self.$lock().write_fmt(arguments)
            }

            fn flush(&mut self) -> io::Result<()> {
                self.$lock().flush()
            }
        }
    };

    (@descriptor $name:ident, $stream:ty, $descriptor:path) => {
        impl AsFd for $stream {
            fn as_fd(&self) -> BorrowedFd<'_> {
                $descriptor()
            }
        }

        impl AsRawFd for $stream {
            fn as_raw_fd(&self) -> RawFd {
                $descriptor().as_raw_fd()
            }
        }

        impl fmt::Debug for $stream {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

impl_stream!(Stdout, StdoutLock, rustix::stdio::stdout);
impl_stream!(Stderr, StderrLock, rustix::stdio::stderr);
