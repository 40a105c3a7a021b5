//! A file whose calls run on the blocking pool.
//!
//! # Safety
//!
//! The only unsafe code takes over raw descriptors on the caller's word.
#![expect(unsafe_code, reason = "FromRawFd is an unsafe trait method")]

use std::fmt;
use std::fs::{self as std_fs, FileTimes, Metadata, Permissions, TryLockError};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use greenhub::green_thread;

use super::buffer::Buffer;

/// An open file, see `std::fs::File`.
///
/// Every method, reads, writes and seeks among them, parks the calling green thread while an OS thread of the blocking
/// pool does it; see the [module](super)'s page for what that means for buffers and for callers that are killed. Several
/// green threads may use one file at once: the position is the open file's, and each read or write moves it by exactly
/// the bytes it returned.
///
/// # Examples
///
/// ```
/// use green::fs::File;
/// use std::io::{Read, Seek, Write};
///
/// let path = std::env::temp_dir().join(format!("green-file-{}", std::process::id()));
/// let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
/// file.write_all(b"kept")?;
/// file.rewind()?;
/// let mut text = String::new();
/// file.read_to_string(&mut text)?;
/// assert_eq!(text, "kept");
/// green::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct File {
    /// Shared with the call that is running, which may outlive its caller.
    inner: Arc<std_fs::File>,
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Those of `std::fs::File::open`.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::fs::File;
    /// use std::io::{BufRead, BufReader};
    ///
    /// let file = File::open("/proc/self/status")?;
    /// let first = BufReader::new(file).lines().next().unwrap()?;
    /// assert!(first.starts_with("Name:"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<File> {
        super::with_path(path, |path| std_fs::File::open(path)).map(File::from)
    }

    /// Opens a file for writing; makes it if it is missing, and empties it otherwise.
    ///
    /// # Errors
    ///
    /// Those of `std::fs::File::create`.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::fs::File;
    /// use std::io::Write;
    ///
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("note");
    /// green::fs::write(&path, "a long first text")?;
    /// File::create(&path)?.write_all(b"a second")?;
    /// assert_eq!(green::fs::read(&path)?, b"a second");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn create<P: AsRef<Path>>(path: P) -> io::Result<File> {
        super::with_path(path, |path| std_fs::File::create(path)).map(File::from)
    }

    /// Makes a file and opens it for reading and writing; fails if something is there.
    ///
    /// # Errors
    ///
    /// Those of `std::fs::File::create_new`.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::fs::File;
    /// use std::io::ErrorKind;
    ///
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("only once");
    /// File::create_new(&path)?;
    /// let error = File::create_new(&path).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn create_new<P: AsRef<Path>>(path: P) -> io::Result<File> {
        super::with_path(path, |path| std_fs::File::create_new(path)).map(File::from)
    }

    /// Waits until bytes and metadata are on the disk.
    ///
    /// # Errors
    ///
    /// Those of fsync(2).
    pub fn sync_all(&self) -> io::Result<()> {
        self.call(|file| file.sync_all())
    }

    /// Waits until the bytes are on the disk.
    ///
    /// # Errors
    ///
    /// Those of fdatasync(2).
    pub fn sync_data(&self) -> io::Result<()> {
        self.call(|file| file.sync_data())
    }

    /// Takes the exclusive advisory lock, waiting while another open file has one.
    ///
    /// A caller killed meanwhile does not get it.
    ///
    /// # Errors
    ///
    /// Those of flock(2).
    ///
    /// # Differences from std
    ///
    /// It tries again every 1 to 50 ms, so it may get the lock that much later, and waiters are not served in order.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::fs::{File, TryLockError};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("shared");
    /// let (one, other) = (File::create(&path)?, File::open(&path)?);
    /// one.lock()?;
    /// assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
    /// one.unlock()?;
    /// other.lock_shared()?;
    /// one.lock_shared()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn lock(&self) -> io::Result<()> {
        self.lock_by_trying(|file| file.try_lock())
    }

    /// Takes a shared advisory lock, waiting while another open file has the exclusive one.
    ///
    /// # Errors
    ///
    /// Those of flock(2).
    ///
    /// # Differences from std
    ///
    /// As [`lock`](File::lock).
    pub fn lock_shared(&self) -> io::Result<()> {
        self.lock_by_trying(|file| file.try_lock_shared())
    }

    /// Takes the exclusive advisory lock if it is free.
    ///
    /// # Errors
    ///
    /// `TryLockError::WouldBlock` if it is not; else those of flock(2).
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.lock_once(|file| file.try_lock())
    }

    /// Takes a shared advisory lock if no one has the exclusive one.
    ///
    /// # Errors
    ///
    /// `TryLockError::WouldBlock` if someone has; else those of flock(2).
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.lock_once(|file| file.try_lock_shared())
    }

    /// Releases all locks.
    ///
    /// # Errors
    ///
    /// Those of flock(2).
    pub fn unlock(&self) -> io::Result<()> {
        self.call(|file| file.unlock())
    }

    /// Cuts the file, or extends it with zeros, to `size` bytes.
    ///
    /// # Errors
    ///
    /// Those of ftruncate(2); `InvalidInput` when it is not open for writing.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::fs::File;
    /// use std::io::Write;
    ///
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("note");
    /// let mut file = File::create(&path)?;
    /// file.write_all(b"12345")?;
    /// file.set_len(3)?;
    /// assert_eq!(green::fs::read(&path)?, b"123");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        self.call(move |file| file.set_len(size))
    }

    /// Returns the file's metadata.
    ///
    /// # Errors
    ///
    /// Those of fstat(2).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::fs::File;
    ///
    /// let metadata = File::open("/")?.metadata()?;
    /// assert!(metadata.is_dir());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.call(|file| file.metadata())
    }

    /// Makes another handle for the same open file: position and locks are shared.
    ///
    /// # Errors
    ///
    /// Too many open descriptors.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::fs::File;
    /// use std::io::{Seek, Write};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let mut file = File::create_new(directory.path().join("note"))?;
    /// let mut other = file.try_clone()?;
    /// file.write_all(b"12345")?;
    /// assert_eq!(other.stream_position()?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_clone(&self) -> io::Result<File> {
        self.inner.try_clone().map(File::from)
    }

    /// Sets the file's permissions.
    ///
    /// # Errors
    ///
    /// Those of fchmod(2).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::fs::{File, Permissions};
    /// use green::os::unix::fs::PermissionsExt;
    ///
    /// let directory = tempfile::tempdir()?;
    /// let file = File::create(directory.path().join("note"))?;
    /// file.set_permissions(Permissions::from_mode(0o600))?;
    /// assert_eq!(file.metadata()?.permissions().mode() & 0o777, 0o600);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_permissions(&self, perm: Permissions) -> io::Result<()> {
        self.call(move |file| file.set_permissions(perm))
    }

    /// Sets the times of last access and change.
    ///
    /// # Errors
    ///
    /// Those of `std::fs::File::set_times`.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::fs::{File, FileTimes};
    /// use std::time::{Duration, SystemTime};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let file = File::create(directory.path().join("note"))?;
    /// let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    /// file.set_times(FileTimes::new().set_accessed(long_ago).set_modified(long_ago))?;
    /// assert_eq!(file.metadata()?.modified()?, long_ago);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.call(move |file| file.set_times(times))
    }

    /// Sets the time of last change.
    ///
    /// # Errors
    ///
    /// Those of `std::fs::File::set_modified`.
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.call(move |file| file.set_modified(time))
    }

    /// Runs `call` on the blocking pool.
    fn call<T: Send + 'static>(&self, call: impl FnOnce(&std_fs::File) -> T + Send + 'static) -> T {
        let file = Arc::clone(&self.inner);
        greenhub::blocking(move || call(&file))
    }

    /// Reads up to `wanted` bytes and hands them over, with their number, to `deliver`.
    fn fill(
        &self,
        wanted: usize,
        read: impl FnOnce(&std_fs::File, &mut [u8]) -> io::Result<usize> + Send + 'static,
        deliver: impl FnOnce(&Buffer, usize),
    ) -> io::Result<usize> {
        let mut buffer = Buffer::new(wanted);
        let (buffer, result) = self.call(move |file| {
            let result = read(file, buffer.as_mut());
            (buffer, result)
        });
        let count = result?;
        deliver(&buffer, count);
        Ok(count)
    }

    fn lock_by_trying(&self, attempt: Attempt) -> io::Result<()> {
        let mut pause = Duration::from_millis(1);
        loop {
            match self.lock_once(attempt) {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) => green_thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    fn lock_once(&self, attempt: Attempt) -> Result<(), TryLockError> {
        let file = Arc::clone(&self.inner);
        let locked =
            greenhub::blocking(move || attempt(&file).map(|()| Locked { file: Some(file) }))?;
        locked.keep();
        Ok(())
    }
}

type Attempt = fn(&std_fs::File) -> Result<(), TryLockError>;

/// A lock on its way to the caller. If the caller has gone, nobody would give it back.
struct Locked {
    file: Option<Arc<std_fs::File>>,
}

impl Locked {
    fn keep(mut self) {
        self.file = None;
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = file.unlock();
        }
    }
}

impl Read for &File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.fill(
            buf.len(),
            |mut file, bytes| file.read(bytes),
            |read, count| read.scatter(count, [buf].into_iter()),
        )
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wanted = bufs.iter().map(|buf| buf.len()).sum();
        self.fill(
            wanted,
            |mut file, bytes| file.read(bytes),
            |read, count| read.scatter(count, bufs.iter_mut().map(|buf| &mut **buf)),
        )
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let (mut bytes, result) = self.call(|mut file| {
            let mut bytes = Vec::new();
            let result = file.read_to_end(&mut bytes);
            (bytes, result)
        });
        if buf.is_empty() {
            mem::swap(buf, &mut bytes);
        } else {
            buf.append(&mut bytes);
        }
        result
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        let (text, result) = self.call(|mut file| {
            let mut text = String::new();
            let result = file.read_to_string(&mut text);
            (text, result)
        });
        buf.push_str(&text);
        result
    }
}

impl Write for &File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let buffer = Buffer::gather([buf].into_iter());
        self.call(move |mut file| file.write(buffer.as_ref()))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let buffer = Buffer::gather(bufs.iter().map(|buf| &**buf));
        self.call(move |mut file| file.write(buffer.as_ref()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        // It is short in itself, but the kernel lets it wait for a read or write of the same open file.
        self.call(move |mut file| file.seek(position))
    }
}

impl Read for File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(buf)
    }
}

impl Write for File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl Seek for File {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        (&*self).seek(position)
    }
}

impl FileExt for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.fill(
            buf.len(),
            move |file, bytes| file.read_at(bytes, offset),
            |read, count| read.scatter(count, [buf].into_iter()),
        )
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let buffer = Buffer::gather([buf].into_iter());
        self.call(move |file| file.write_at(buffer.as_ref(), offset))
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl IntoRawFd for File {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl FromRawFd for File {
    unsafe fn from_raw_fd(fd: RawFd) -> File {
        // SAFETY: the caller promises that `fd` is open and theirs to give away.
        File::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl From<std_fs::File> for File {
    fn from(file: std_fs::File) -> File {
        File {
            inner: Arc::new(file),
        }
    }
}

impl From<File> for std_fs::File {
    fn from(file: File) -> std_fs::File {
        Arc::try_unwrap(file.inner).unwrap_or_else(|shared| {
            // A call whose caller was killed is still running.
            shared
                .try_clone()
                .expect("no descriptor is free to duplicate the file's")
        })
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> File {
        File::from(std_fs::File::from(fd))
    }
}

impl From<File> for OwnedFd {
    fn from(file: File) -> OwnedFd {
        std_fs::File::from(file).into()
    }
}

impl From<File> for Stdio {
    /// Hands the file to a child process.
    fn from(file: File) -> Stdio {
        std_fs::File::from(file).into()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[cfg(test)]
mod tests;
