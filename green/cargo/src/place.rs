//! Where a program and its copies are.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, ensure};

use crate::asking::Asking;

#[derive(Debug)]
pub struct Place {
    /// The folder of the workspace.
    pub root: PathBuf,
    /// The folder of the copies.
    pub at: PathBuf,
    /// The same, from the workspace's.
    pub below: PathBuf,
}

impl Place {
    /// Of the program that is asked about, with its copies `into` a folder of its own.
    ///
    /// # Errors
    ///
    /// If that lies elsewhere: paths from there to the program hold on no other machine.
    pub fn of(asking: &Asking, into: &Path) -> Result<Self> {
        let root = asking.root()?;
        let at = plain(&root.join(into));
        let below = at.strip_prefix(&root).map(Path::to_owned);
        let is_below = below
            .as_ref()
            .is_ok_and(|below| !below.as_os_str().is_empty());
        ensure!(
            is_below && !leads_out(&root, &at),
            "--into {}: the folder of the copies has to lie below {}, where the program is",
            into.display(),
            root.display()
        );
        let below = below?;
        Ok(Place { root, at, below })
    }
}

/// Whether links on the way from `root` to `at` lead elsewhere.
fn leads_out(root: &Path, at: &Path) -> bool {
    let there = at
        .ancestors()
        .find_map(|folder| fs::canonicalize(folder).ok());
    let root = fs::canonicalize(root).ok();
    !there
        .zip(root)
        .is_some_and(|(there, root)| there.starts_with(root))
}

/// The path without `..`; it need not be there.
pub fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}
