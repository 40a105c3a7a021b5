//! Anonymous pipes: std's `pipe`, `PipeReader` and `PipeWriter` over [`GreenPipe`].
//!
//! # Safety
//!
//! The only unsafe code takes over raw descriptors on the caller's word.
#![expect(unsafe_code, reason = "FromRawFd is an unsafe trait method")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use greenhub::greenio::GreenPipe;

use super::face::{impl_descriptor, impl_read, impl_write};

/// Makes an anonymous pipe. Both ends are closed in programs that this one executes.
///
/// # Errors
///
/// Those of pipe2(2): too many open descriptors.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = green::io::pipe()?;
/// let sender = green::thread::spawn(move || writer.write_all(b"through the pipe"));
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "through the pipe");
/// sender.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = GreenPipe::pair()?;
    Ok((
        PipeReader {
            pipe: Arc::new(reader),
        },
        PipeWriter {
            pipe: Arc::new(writer),
        },
    ))
}

/// The read end of an anonymous [`pipe`].
///
/// # Differences from std
///
/// The descriptor is non-blocking while it is a `PipeReader`; it is blocking again as an [`OwnedFd`], a raw descriptor
/// or a [`Stdio`](std::process::Stdio).
#[derive(Debug)]
pub struct PipeReader {
    pipe: Arc<GreenPipe>,
}

/// The write end of an anonymous [`pipe`].
///
/// One `write` takes all bytes, as on a blocking pipe, and fails with `BrokenPipe` when there is no reader.
///
/// # Differences from std
///
/// The descriptor is non-blocking while it is a `PipeWriter`; it is blocking again as an [`OwnedFd`], a raw descriptor
/// or a [`Stdio`](std::process::Stdio).
#[derive(Debug)]
pub struct PipeWriter {
    pipe: Arc<GreenPipe>,
}

impl PipeReader {
    /// Makes another handle for the same end.
    ///
    /// # Errors
    ///
    /// None today; the signature is std's.
    ///
    /// # Differences from std
    ///
    /// The handles share one descriptor, which is closed with the last of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// let (mut reader, mut writer) = green::io::pipe()?;
    /// let mut other = reader.try_clone()?;
    /// writer.write_all(b"ab")?;
    /// let mut byte = [0];
    /// reader.read_exact(&mut byte)?;
    /// assert_eq!(&byte, b"a");
    /// other.read_exact(&mut byte)?;
    /// assert_eq!(&byte, b"b");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_clone(&self) -> io::Result<PipeReader> {
        Ok(PipeReader {
            pipe: Arc::clone(&self.pipe),
        })
    }
}

impl PipeWriter {
    /// Makes another handle for the same end.
    ///
    /// # Errors
    ///
    /// None today; the signature is std's.
    ///
    /// # Differences from std
    ///
    /// The handles share one descriptor, which is closed with the last of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// let (mut reader, mut writer) = green::io::pipe()?;
    /// let mut other = writer.try_clone()?;
    /// writer.write_all(b"one ")?;
    /// drop(writer);
    /// other.write_all(b"two")?;
    /// drop(other);
    /// let mut text = String::new();
    /// reader.read_to_string(&mut text)?;
    /// assert_eq!(text, "one two");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_clone(&self) -> io::Result<PipeWriter> {
        Ok(PipeWriter {
            pipe: Arc::clone(&self.pipe),
        })
    }
}

/// Gives up a handle for a blocking descriptor of its own.
fn release(pipe: Arc<GreenPipe>, access: &OpenOptions) -> OwnedFd {
    let pipe = match Arc::try_unwrap(pipe) {
        Ok(pipe) => return pipe.into_fd(),
        Err(shared) => shared,
    };
    // Another handle stays behind and needs the open file non-blocking. A second open file of the same pipe has flags
    // of its own.
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    if let Ok(file) = access.open(path) {
        return file.into();
    }
    // No /proc here. The flags are shared then, and the new owner's expectation counts more.
    let fd = pipe
        .as_fd()
        .try_clone_to_owned()
        .expect("no descriptor is free to duplicate a pipe's end");
    GreenPipe::new(fd).into_fd()
}

impl_read!(PipeReader, &PipeReader);
impl_write!(PipeWriter, &PipeWriter);
impl_descriptor!(PipeReader, PipeWriter);

impl From<PipeReader> for OwnedFd {
    fn from(end: PipeReader) -> OwnedFd {
        release(end.pipe, OpenOptions::new().read(true))
    }
}

impl From<PipeWriter> for OwnedFd {
    fn from(end: PipeWriter) -> OwnedFd {
        release(end.pipe, OpenOptions::new().write(true))
    }
}

impl From<OwnedFd> for PipeReader {
    fn from(fd: OwnedFd) -> PipeReader {
        PipeReader {
            pipe: Arc::new(GreenPipe::new(fd)),
        }
    }
}

impl From<OwnedFd> for PipeWriter {
    fn from(fd: OwnedFd) -> PipeWriter {
        PipeWriter {
            pipe: Arc::new(GreenPipe::new(fd)),
        }
    }
}

impl FromRawFd for PipeReader {
    unsafe fn from_raw_fd(fd: RawFd) -> PipeReader {
        // SAFETY: the caller promises that `fd` is open and theirs to give away.
        PipeReader::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl FromRawFd for PipeWriter {
    unsafe fn from_raw_fd(fd: RawFd) -> PipeWriter {
        // SAFETY: the caller promises that `fd` is open and theirs to give away.
        PipeWriter::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}
