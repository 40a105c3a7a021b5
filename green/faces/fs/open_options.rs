//! How to open a file: std's `OpenOptions`, which opens on the blocking pool.

use std::fs as std_fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::File;

/// Options to open a file with, see `std::fs::OpenOptions`.
///
/// # Examples
///
/// ```
/// use green::fs::OpenOptions;
///
/// let error = OpenOptions::new().read(true).open("/no such file").unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    inner: std_fs::OpenOptions,
}

macro_rules! switches {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, $name: bool) -> &mut OpenOptions {
            self.inner.$name($name);
            self
        }
    )+};
}

impl OpenOptions {
    /// Options that are all off.
    #[expect(
        clippy::new_without_default,
        reason = "std's type has no Default either"
    )]
    pub fn new() -> OpenOptions {
        OpenOptions {
            inner: std_fs::OpenOptions::new(),
        }
    }

    switches! {
        /// For reading.
        read;
        /// For writing.
        write;
        /// For writing at the end, wherever that is at the time of each write.
        append;
        /// Empties the file when it is opened.
        truncate;
        /// Makes the file if it is missing.
        create;
        /// Makes the file and fails if something is there.
        create_new;
    }

    /// Opens the file.
    ///
    /// # Errors
    ///
    /// Those of `std::fs::OpenOptions::open`.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::fs::OpenOptions;
    /// use std::io::{ErrorKind, Write};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("log");
    /// for line in ["one", "two"] {
    ///     let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
    ///     writeln!(file, "{line}")?;
    /// }
    /// assert_eq!(green::fs::read_to_string(&path)?, "one\ntwo\n");
    /// let error = OpenOptions::new().write(true).create_new(true).open(&path).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open<P: AsRef<Path>>(&self, path: P) -> io::Result<File> {
        let options = self.inner.clone();
        super::with_path(path, move |path| options.open(path)).map(File::from)
    }
}

impl File {
    /// Returns options to open a file with.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }
}

impl OpenOptionsExt for OpenOptions {
    fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.inner.mode(mode);
        self
    }

    fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        self.inner.custom_flags(flags);
        self
    }
}
