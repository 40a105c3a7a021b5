//! The folder in which a change is made, beside that of the copies, and what runs that were killed left of theirs.
//!
//! | in it | what that is |
//! |---|---|
//! | `lock` | its run has it locked for as long as it lives |
//! | `new` | the folder of the copies as it is to be |
//! | `old` | as it was, while the change may still fail |
//! | `failed` | as it was to be |
//! | `gone` | as it was, and nobody needs it any more |

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::{Builder, NamedTempFile, TempDir};

use crate::record;

const PREFIX: &str = ".cargo-green-";
/// What comes behind it, by chance.
const CHANCE: usize = 6;
/// Behind that the new text of a file has this.
const SUFFIX: &str = ".new";
const LOCK: &str = "lock";

/// Removed with the change.
#[derive(Debug)]
pub struct Stage {
    folder: TempDir,
    /// Behind the folder, which goes first.
    _alive: File,
}

impl Stage {
    /// Beside `folder`, which need not be there.
    ///
    /// # Errors
    ///
    /// If the place cannot be written to.
    pub fn beside(folder: &Path) -> Result<Self> {
        let parent = folder
            .parent()
            .context("the folder of the copies has no parent")?;
        Self::make(parent).with_context(|| format!("nothing can be written to {}, where the folder of the copies is to be; --into names another", parent.display()))
    }

    fn make(parent: &Path) -> io::Result<Self> {
        loop {
            let named = Builder::new()
                .prefix(PREFIX)
                .rand_bytes(CHANCE)
                .tempdir_in(parent);
            let folder = named?;
            let lock = folder.path().join(LOCK);
            let alive = match File::create_new(&lock) {
                // A run that clears up was faster.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                alive => alive?,
            };
            match alive.try_lock() {
                Err(TryLockError::WouldBlock) => continue,
                Ok(()) if !lock.exists() => continue,
                // Without locks there, nobody takes it for dead.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            return Ok(Stage {
                folder,
                _alive: alive,
            });
        }
    }

    pub fn fresh(&self) -> PathBuf {
        self.folder.path().join("new")
    }

    pub fn old(&self) -> PathBuf {
        self.folder.path().join("old")
    }

    pub fn failed(&self) -> PathBuf {
        self.folder.path().join("failed")
    }

    pub fn gone(&self) -> PathBuf {
        self.folder.path().join("gone")
    }
}

/// A file for a new text, in the folder where it will stand.
pub fn file_in(folder: &Path) -> io::Result<NamedTempFile> {
    clear_files(folder);
    let mut named = Builder::new();
    let named = named.prefix(PREFIX).rand_bytes(CHANCE).suffix(SUFFIX);
    let file = named.tempfile_in(folder)?;
    // Without locks there, nobody takes it for dead.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// Removes what killed runs left beside the folder of the copies, `at`. If one had just moved that folder away, it comes back.
///
/// # Errors
///
/// If it cannot come back.
pub fn clear(at: &Path) -> Result<()> {
    let Some(parent) = at.parent() else {
        return Ok(());
    };
    clear_files(parent);
    let mut dead = dead(parent);
    if !at.exists() {
        // The last one, if there are several.
        dead.sort_by_key(|(stage, _)| fs::metadata(stage).and_then(|data| data.modified()).ok());
        let olds = dead.iter().rev().map(|(stage, _)| stage.join("old"));
        if let Some(old) = olds
            .into_iter()
            .find(|old| old.join(record::FILE).is_file())
        {
            fs::rename(&old, at).with_context(|| {
                let (old, at) = (old.display(), at.display());
                format!("{at} lies in {old}, where a run that was killed left it")
            })?;
            println!(
                "{} is back, which a run that was killed had moved",
                at.display()
            );
        }
    }
    for (stage, _lock) in dead {
        // What cannot be removed does no harm.
        let _ = fs::remove_dir_all(stage);
    }
    Ok(())
}

/// What stands behind the prefix in the names of ours.
fn ours(folder: &Path) -> impl Iterator<Item = (fs::DirEntry, String)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name();
        let rest = name.to_str()?.strip_prefix(PREFIX)?.to_owned();
        Some((entry, rest))
    })
}

fn is_by_chance(part: &str) -> bool {
    part.len() == CHANCE && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The stages in `folder` whose runs are dead, each with its lock.
fn dead(folder: &Path) -> Vec<(PathBuf, File)> {
    let mut dead = Vec::new();
    for (entry, chance) in ours(folder) {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let Ok(inside) = fs::read_dir(&path) else {
            continue;
        };
        let mut inside = inside.flatten().map(|entry| entry.file_name());
        let known = [LOCK, "new", "old", "failed", "gone"];
        let is_known = inside.all(|name| known.iter().any(|known| name == *known));
        if !is_by_chance(&chance) || !is_folder || !is_known {
            continue;
        }
        match File::open(path.join(LOCK)) {
            Ok(lock) if lock.try_lock().is_ok() => dead.push((path, lock)),
            // Killed before it had one: it goes if it is empty.
            Err(error) if error.kind() == ErrorKind::NotFound => drop(fs::remove_dir(path)),
            _ => {}
        }
    }
    dead
}

/// Removes the files in `folder` that killed runs did not come to move.
fn clear_files(folder: &Path) {
    for (entry, rest) in ours(folder) {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let is_named = rest.strip_suffix(SUFFIX).is_some_and(is_by_chance);
        if is_file && is_named && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok())
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}
