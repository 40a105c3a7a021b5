//! std's `fs` for green threads: every call runs on the blocking pool while the calling green thread is parked.
//!
//! A regular file cannot be waited for: to the kernel it is always ready, and the read then takes as long as the disk
//! does. So the call itself moves to an OS thread. On a plain OS thread it runs right there.
//!
//! # A caller that goes away
//!
//! A green thread may be killed, or its time limit may pass, in the middle of a call. The call runs to its end all the
//! same, and its result is dropped. To make that sound, bytes travel in buffers that the call owns: each read and write
//! costs one copy. It also means that a `read` that was abandoned may have moved the file's position.
//!
//! # Differences from std
//!
//! - `Arc<File>` has no `Read`, `Write` and `Seek`, which only std can give it; `&File` has, so `(&*file).read(…)` does.
//! - One `read` or `write` moves at most 1 MiB.
//! - [`File::lock`] and [`File::lock_shared`] try again every 1 to 50 ms instead of queueing in the kernel, so that a
//!   waiter occupies no thread of the pool and can be killed.
//! - A file is closed by the thread that drops it, since closing does not wait on local file systems.
//! - The methods of `std::path::Path` that ask the file system (`exists`, `metadata` …) are std's and block the hub.
//! - A FIFO or a device opened as a [`File`] occupies a thread of the pool while it waits; hand its descriptor to
//!   [`GreenPipe`](crate::greenio::GreenPipe) instead.

mod buffer;
mod dir;
mod file;
mod open_options;

use std::io;
use std::path::{Path, PathBuf};

pub use std::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};

pub use dir::{DirBuilder, DirEntry, ReadDir, read_dir};
pub use file::File;
pub use open_options::OpenOptions;

/// Runs `call` with a path of its own on the blocking pool.
fn with_path<T, F>(path: impl AsRef<Path>, call: F) -> io::Result<T>
where
    F: FnOnce(&Path) -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    let path = path.as_ref().to_owned();
    greenhub::blocking(move || call(&path))
}

/// As [`with_path`], for calls with two paths.
fn with_paths<T, F>(from: impl AsRef<Path>, to: impl AsRef<Path>, call: F) -> io::Result<T>
where
    F: FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    greenhub::blocking(move || call(&from, &to))
}

macro_rules! path_functions {
    ($($(#[$doc:meta])* $name:ident -> $result:ty, as in $example:literal;)+) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        ///
        #[doc = concat!("Those of `std::fs::", stringify!($name), "`.")]
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $example]
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub fn $name<P: AsRef<Path>>(path: P) -> io::Result<$result> {
            with_path(path, |path| std::fs::$name(path))
        }
    )+};
}

path_functions! {
    /// Returns the absolute path, without symbolic links.
    canonicalize -> PathBuf, as in "assert_eq!(green::fs::canonicalize(\"/proc/..\")?, std::path::Path::new(\"/\"));";
    /// Makes a directory.
    create_dir -> (), as in r#"let directory = tempfile::tempdir()?;
let path = directory.path().join("new");
green::fs::create_dir(&path)?;
assert!(green::fs::create_dir(&path).is_err());"#;
    /// Makes a directory and its missing parents.
    create_dir_all -> (), as in r#"let directory = tempfile::tempdir()?;
let path = directory.path().join("a/b/c");
green::fs::create_dir_all(&path)?;
green::fs::create_dir_all(&path)?;"#;
    /// Returns whether something is there; an error if that cannot be found out.
    exists -> bool, as in r#"assert!(green::fs::exists("/proc")?);
assert!(!green::fs::exists("/no such directory")?);"#;
    /// Returns the metadata of a path; symbolic links are followed.
    metadata -> Metadata, as in r#"assert!(green::fs::metadata("/proc/self")?.is_dir());"#;
    /// Reads a whole file and returns its bytes.
    read -> Vec<u8>, as in r#"let limits = green::fs::read("/proc/self/limits")?;
assert!(limits.starts_with(b"Limit"));"#;
    /// Returns where a symbolic link points.
    read_link -> PathBuf, as in r#"let directory = tempfile::tempdir()?;
let link = directory.path().join("link");
green::os::unix::fs::symlink("elsewhere", &link)?;
assert_eq!(green::fs::read_link(&link)?, std::path::Path::new("elsewhere"));"#;
    /// Reads a whole file as text.
    read_to_string -> String, as in r#"let limits = green::fs::read_to_string("/proc/self/limits")?;
assert!(limits.lines().count() > 1);"#;
    /// Removes an empty directory.
    remove_dir -> (), as in r#"let directory = tempfile::tempdir()?;
let path = directory.path().join("new");
green::fs::create_dir(&path)?;
assert!(green::fs::remove_dir(&directory).is_err());
green::fs::remove_dir(&path)?;"#;
    /// Removes a directory with all that is in it.
    remove_dir_all -> (), as in r#"let directory = tempfile::tempdir()?;
green::fs::create_dir_all(directory.path().join("a/b/c"))?;
green::fs::remove_dir_all(directory.path().join("a"))?;
assert_eq!(green::fs::read_dir(&directory)?.count(), 0);"#;
    /// Removes a file.
    remove_file -> (), as in r#"let directory = tempfile::tempdir()?;
let path = directory.path().join("note");
green::fs::write(&path, "text")?;
green::fs::remove_file(&path)?;
assert!(!green::fs::exists(&path)?);"#;
    /// Returns the metadata of a path itself; a symbolic link is not followed.
    symlink_metadata -> Metadata, as in r#"assert!(green::fs::symlink_metadata("/proc/self")?.is_symlink());"#;
}

/// Copies a file's bytes and permissions and returns the number of bytes.
///
/// # Errors
///
/// Those of `std::fs::copy`.
///
/// # Examples
///
/// ```
/// let directory = tempfile::tempdir()?;
/// let (from, to) = (directory.path().join("from"), directory.path().join("to"));
/// green::fs::write(&from, "text")?;
/// assert_eq!(green::fs::copy(&from, &to)?, 4);
/// assert_eq!(green::fs::read_to_string(&to)?, "text");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn copy<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<u64> {
    with_paths(from, to, |from, to| std::fs::copy(from, to))
}

/// Makes a hard link, another name for a file.
///
/// # Errors
///
/// Those of `std::fs::hard_link`.
///
/// # Examples
///
/// ```
/// let directory = tempfile::tempdir()?;
/// let (name, other) = (directory.path().join("name"), directory.path().join("other"));
/// green::fs::write(&name, "text")?;
/// green::fs::hard_link(&name, &other)?;
/// green::fs::remove_file(&name)?;
/// assert_eq!(green::fs::read_to_string(&other)?, "text");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn hard_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    with_paths(original, link, |original, link| {
        std::fs::hard_link(original, link)
    })
}

/// Renames a file or directory, replacing what has the new name.
///
/// # Errors
///
/// Those of `std::fs::rename`.
///
/// # Examples
///
/// ```
/// let directory = tempfile::tempdir()?;
/// let (before, after) = (directory.path().join("before"), directory.path().join("after"));
/// green::fs::write(&before, "text")?;
/// green::fs::rename(&before, &after)?;
/// assert!(!green::fs::exists(&before)?);
/// assert_eq!(green::fs::read_to_string(&after)?, "text");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn rename<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<()> {
    with_paths(from, to, |from, to| std::fs::rename(from, to))
}

/// Sets a path's permissions.
///
/// # Errors
///
/// Those of `std::fs::set_permissions`.
///
/// # Examples
///
/// ```
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("note");
/// green::fs::write(&path, "text")?;
/// let mut permissions = green::fs::metadata(&path)?.permissions();
/// permissions.set_readonly(true);
/// green::fs::set_permissions(&path, permissions)?;
/// assert!(green::fs::metadata(&path)?.permissions().readonly());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn set_permissions<P: AsRef<Path>>(path: P, perm: Permissions) -> io::Result<()> {
    with_path(path, |path| std::fs::set_permissions(path, perm))
}

/// Makes a symbolic link.
///
/// # Errors
///
/// Those of symlink(2).
#[deprecated(note = "replaced with green::os::unix::fs::symlink")]
pub fn soft_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    crate::os::unix::fs::symlink(original, link)
}

/// Writes a whole file, replacing what was there.
///
/// # Errors
///
/// Those of `std::fs::write`.
///
/// # Examples
///
/// ```
/// let path = std::env::temp_dir().join(format!("green-fs-write-{}", std::process::id()));
/// green::fs::write(&path, "one\ntwo\n")?;
/// assert_eq!(green::fs::read_to_string(&path)?, "one\ntwo\n");
/// green::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write<P: AsRef<Path>, C: AsRef<[u8]>>(path: P, contents: C) -> io::Result<()> {
    let contents = contents.as_ref().to_vec();
    with_path(path, |path| std::fs::write(path, contents))
}
