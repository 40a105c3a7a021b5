//! std's `os::unix::fs`. The traits are std's own; the types of [`green::fs`](crate::fs) have them.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

pub use std::os::unix::fs::{
    DirBuilderExt, DirEntryExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt,
};

/// Makes a symbolic link.
///
/// # Errors
///
/// Those of symlink(2).
///
/// # Examples
///
/// ```
/// use green::os::unix::fs::symlink;
///
/// let directory = tempfile::tempdir()?;
/// let link = directory.path().join("link");
/// symlink("elsewhere", &link)?;
/// assert_eq!(green::fs::read_link(&link)?, std::path::Path::new("elsewhere"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn symlink<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    let (original, link) = (original.as_ref().to_owned(), link.as_ref().to_owned());
    greenhub::blocking(move || std::os::unix::fs::symlink(original, link))
}

/// Sets a path's owner and group; symbolic links are followed. `None` leaves one as it is.
///
/// # Errors
///
/// Those of chown(2).
pub fn chown<P: AsRef<Path>>(dir: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let path = dir.as_ref().to_owned();
    greenhub::blocking(move || std::os::unix::fs::chown(path, uid, gid))
}

/// Sets the owner and group of a path itself; a symbolic link is not followed. `None` leaves one as
/// it is.
///
/// # Errors
///
/// Those of lchown(2).
pub fn lchown<P: AsRef<Path>>(dir: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let path = dir.as_ref().to_owned();
    greenhub::blocking(move || std::os::unix::fs::lchown(path, uid, gid))
}

/// Sets an open file's owner and group. `None` leaves one as it is.
///
/// # Errors
///
/// Those of fchown(2), and too many open descriptors: the call works on a duplicate.
///
/// # Examples
///
/// ```
/// use green::os::unix::fs::{MetadataExt, fchown};
///
/// let directory = tempfile::tempdir()?;
/// let file = green::fs::File::create(directory.path().join("note"))?;
/// let group = file.metadata()?.gid();
/// fchown(&file, None, Some(group))?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn fchown<F: AsFd>(fd: F, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let fd = fd.as_fd().try_clone_to_owned()?;
    greenhub::blocking(move || std::os::unix::fs::fchown(fd, uid, gid))
}

/// Makes a directory the root of this process, for all its threads.
///
/// # Errors
///
/// Those of chroot(2).
pub fn chroot<P: AsRef<Path>>(dir: P) -> io::Result<()> {
    let path = dir.as_ref().to_owned();
    greenhub::blocking(move || std::os::unix::fs::chroot(path))
}
