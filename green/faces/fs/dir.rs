//! Making and listing directories on the blocking pool.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self as std_fs, FileType, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, DirEntryExt};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use greenhub::wait_queue::ShortLock;

/// How many entries one trip to the pool brings.
const BATCH: usize = 64;

/// Returns the entries of a directory, without `.` and `..`.
///
/// # Errors
///
/// Those of `std::fs::read_dir`.
///
/// # Examples
///
/// ```
/// let names: Vec<_> = green::fs::read_dir("/proc/self")?
///     .map(|entry| entry.map(|entry| entry.file_name()))
///     .collect::<Result<_, _>>()?;
/// assert!(names.iter().any(|name| name == "status"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn read_dir<P: AsRef<Path>>(path: P) -> io::Result<ReadDir> {
    let listing = super::with_path(path, |path| std_fs::read_dir(path))?;
    Ok(ReadDir {
        listing: Arc::new(Listing {
            rest: ShortLock::new(listing),
            fetched: ShortLock::default(),
        }),
    })
}

/// The entries of a directory, made by [`read_dir`]. They are fetched 64 at a time.
pub struct ReadDir {
    listing: Arc<Listing>,
}

/// Shared with the pool, so that what it fetches for a caller that has gone is there for the next call.
struct Listing {
    /// Locked on the pool only.
    rest: ShortLock<std_fs::ReadDir>,
    fetched: ShortLock<Fetched>,
}

#[derive(Default)]
struct Fetched {
    entries: VecDeque<io::Result<DirEntry>>,
    ended: bool,
}

impl Listing {
    /// The next entry; `None` if another call must fetch some more.
    fn next(&self) -> Option<Option<io::Result<DirEntry>>> {
        let mut fetched = self.fetched.lock();
        match fetched.entries.pop_front() {
            Some(entry) => Some(Some(entry)),
            None => fetched.ended.then_some(None),
        }
    }

    /// Fetches some entries, unless an earlier call has.
    fn fetch(&self) {
        let mut rest = self.rest.lock();
        if self.fetched.lock().entries.is_empty() {
            let entries = rest.by_ref().take(BATCH);
            let entries: VecDeque<_> = entries.map(|entry| entry.map(DirEntry::new)).collect();
            let ended = entries.len() < BATCH;
            *self.fetched.lock() = Fetched { entries, ended };
        }
    }
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<io::Result<DirEntry>> {
        loop {
            if let Some(next) = self.listing.next() {
                return next;
            }
            let listing = Arc::clone(&self.listing);
            greenhub::blocking(move || listing.fetch());
        }
    }
}

// What a panic may interrupt is the fetching, which leaves no half-made entry behind.
impl UnwindSafe for ReadDir {}
impl RefUnwindSafe for ReadDir {}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir")
            .field("fetched", &self.listing.fetched.lock().entries.len())
            .finish_non_exhaustive()
    }
}

/// One entry of a directory.
///
/// # Examples
///
/// ```
/// let directory = tempfile::tempdir()?;
/// green::fs::write(directory.path().join("note"), "12345")?;
/// for entry in green::fs::read_dir(&directory)? {
///     let entry = entry?;
///     assert_eq!(entry.file_name(), "note");
///     assert_eq!(entry.path(), directory.path().join("note"));
///     assert!(entry.file_type()?.is_file());
///     assert_eq!(entry.metadata()?.len(), 5);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct DirEntry {
    inner: Arc<std_fs::DirEntry>,
    /// Most file systems tell it with the name; where they do not, it was asked for along with the name.
    file_type: Option<FileType>,
}

impl DirEntry {
    fn new(inner: std_fs::DirEntry) -> DirEntry {
        DirEntry {
            file_type: inner.file_type().ok(),
            inner: Arc::new(inner),
        }
    }

    /// The directory's path, as given to [`read_dir`], with this entry's name.
    pub fn path(&self) -> PathBuf {
        self.inner.path()
    }

    /// Returns the metadata of the entry itself; a symbolic link is not followed.
    ///
    /// # Errors
    ///
    /// Those of fstatat(2): it may be gone by now.
    pub fn metadata(&self) -> io::Result<Metadata> {
        let entry = Arc::clone(&self.inner);
        greenhub::blocking(move || entry.metadata())
    }

    /// Returns whether the entry is a file, a directory, a symbolic link …
    ///
    /// # Errors
    ///
    /// As [`metadata`](DirEntry::metadata), if the directory does not say what the entry is.
    pub fn file_type(&self) -> io::Result<FileType> {
        match self.file_type {
            Some(file_type) => Ok(file_type),
            None => self.metadata().map(|metadata| metadata.file_type()),
        }
    }

    /// The entry's name.
    pub fn file_name(&self) -> OsString {
        self.inner.file_name()
    }
}

impl DirEntryExt for DirEntry {
    fn ino(&self) -> u64 {
        self.inner.ino()
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// How to make a directory, see `std::fs::DirBuilder`.
///
/// # Examples
///
/// ```
/// use green::fs::DirBuilder;
/// use green::os::unix::fs::{DirBuilderExt, PermissionsExt};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("a/b/c");
/// assert!(DirBuilder::new().create(&path).is_err());
/// DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
/// assert_eq!(green::fs::metadata(&path)?.permissions().mode() & 0o777, 0o700);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DirBuilder {
    recursive: bool,
    mode: u32,
}

impl DirBuilder {
    /// Makes one directory, for everybody as far as the process's umask allows.
    #[expect(
        clippy::new_without_default,
        reason = "std's type has no Default either"
    )]
    pub fn new() -> DirBuilder {
        DirBuilder {
            recursive: false,
            mode: 0o777,
        }
    }

    /// Whether to make missing parent directories too, and to accept a directory that exists.
    pub fn recursive(&mut self, recursive: bool) -> &mut DirBuilder {
        self.recursive = recursive;
        self
    }

    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// Those of `std::fs::DirBuilder::create`.
    pub fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let mut builder = std_fs::DirBuilder::new();
        builder.recursive(self.recursive).mode(self.mode);
        super::with_path(path, move |path| builder.create(path))
    }
}

impl DirBuilderExt for DirBuilder {
    fn mode(&mut self, mode: u32) -> &mut DirBuilder {
        self.mode = mode;
        self
    }
}
