//! The directory that is served. To find something blocks in the file system, so the server does it on the blocking pool.
//!
//! The directory is a [`cap_std`] capability: whatever the path and whatever the symbolic links
//! in it, nothing outside of the directory can be opened, even while somebody moves things about.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use cap_std::fs::{Dir, File, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};

use crate::listing::Entry;

/// Files up to this length are read when they are opened, in one visit to the blocking pool.
const SMALL_BYTES_MAX: u64 = 64 * 1024;

/// The directory that is served.
#[derive(Debug)]
pub struct Site {
    root: Dir,
}

/// What stands at a path.
#[derive(Debug)]
pub enum Found {
    File(OpenFile),
    /// A directory without `index.html`.
    Directory(Vec<Entry>),
    /// A directory, asked for without the slash that would make its page's links work.
    DirectoryWithoutSlash,
}

/// A file, open for reading, with what its answer's header needs.
#[derive(Debug)]
pub struct OpenFile {
    pub len: u64,
    pub modified: SystemTime,
    pub etag: String,
    pub content_type: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Read(Vec<u8>),
    Open(green::fs::File),
}

impl Site {
    /// Opens `directory`, the only part of the file system that will be seen from now on.
    pub fn open(directory: &Path) -> io::Result<Site> {
        let root = Dir::open_ambient_dir(directory, cap_std::ambient_authority())?;
        Ok(Site { root })
    }

    /// Looks `path` up. `wants_directory`: the request's path ended in a slash.
    pub fn find(&self, path: &Path, wants_directory: bool) -> io::Result<Found> {
        let metadata = self.root.metadata(path)?;
        if !metadata.is_dir() {
            return match wants_directory {
                true => Err(io::ErrorKind::NotFound.into()),
                false => self.open_file(path).map(Found::File),
            };
        }
        if !wants_directory {
            return Ok(Found::DirectoryWithoutSlash);
        }
        match self.open_file(&path.join("index.html")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.list(path),
            opened => opened.map(Found::File),
        }
    }

    fn open_file(&self, path: &Path) -> io::Result<OpenFile> {
        // Without O_NONBLOCK, opening a named pipe would wait for its writer.
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        let file = self.root.open_with(path, &options)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let (len, modified) = (metadata.len(), modified(&metadata));
        Ok(OpenFile {
            len,
            modified,
            etag: format!(
                "\"{:x}-{:x}-{len:x}\"",
                metadata.ino(),
                modified
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default()
                    .as_nanos(),
            ),
            content_type: content_type(path),
            content: Content::of(file, len)?,
        })
    }

    fn list(&self, path: &Path) -> io::Result<Found> {
        let mut entries = Vec::new();
        for entry in self.root.read_dir(path)? {
            let entry = entry?;
            // Seen through a link; a link that leads nowhere, or outside, is not shown.
            let Ok(metadata) = self.root.metadata(path.join(entry.file_name())) else {
                continue;
            };
            entries.push(Entry {
                name: entry.file_name(),
                is_directory: metadata.is_dir(),
                len: metadata.len(),
                modified: modified(&metadata),
            });
        }
        entries.sort_by(|a, b| (!a.is_directory, &a.name).cmp(&(!b.is_directory, &b.name)));
        Ok(Found::Directory(entries))
    }
}

impl OpenFile {
    /// All of it, if it was read when the file was opened.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Read(bytes) => Some(bytes),
            Content::Open(_) => None,
        }
    }

    /// Reads `buffer` full from `start` on. A file that became shorter meanwhile is an error.
    pub fn read_exact_at(&self, buffer: &mut [u8], start: u64) -> io::Result<()> {
        match &self.content {
            Content::Read(bytes) => {
                buffer.copy_from_slice(&bytes[start as usize..][..buffer.len()]);
                Ok(())
            }
            Content::Open(file) => file.read_exact_at(buffer, start),
        }
    }
}

impl Content {
    fn of(file: File, len: u64) -> io::Result<Content> {
        let file = file.into_std();
        if len > SMALL_BYTES_MAX {
            return Ok(Content::Open(file.into()));
        }
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Content::Read(bytes))
    }
}

/// Whole seconds are what HTTP dates can say; a file without a date is as old as can be.
fn modified(metadata: &Metadata) -> SystemTime {
    let seconds = u64::try_from(metadata.mtime()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::new(seconds, metadata.mtime_nsec() as u32)
}

/// By the name's ending. Text is said to be UTF-8, which nearly all of it is.
fn content_type(path: &Path) -> String {
    let guess = mime_guess::from_path(path).first_or_octet_stream();
    match (guess.type_(), guess.subtype()) {
        (mime_guess::mime::TEXT, _) => format!("{}; charset=utf-8", guess.essence_str()),
        _ => guess.essence_str().to_owned(),
    }
}
