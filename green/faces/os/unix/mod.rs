//! `std::os::unix` on green threads.

pub mod fs;
pub mod net;
pub mod process;
pub mod thread;

pub use super::fd as io;
pub use std::os::unix::ffi;

/// The traits of `std::os::unix`, to be imported by a glob.
pub mod prelude {
    pub use super::ffi::{OsStrExt, OsStringExt};
    pub use super::fs::{
        DirEntryExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt,
    };
    pub use super::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
    pub use super::process::{CommandExt, ExitStatusExt};
}
