//! What was patched, in a file beside the copies: enough to go on from and to take everything back.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::manifest::Redirected;

pub const FILE: &str = "patched.toml";

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    #[serde(rename = "crate", default)]
    pub crates: Vec<Entry>,
    #[serde(rename = "manifest", default)]
    pub manifests: Vec<Manifest>,
    /// Crates that the user wants left as they are.
    #[serde(default)]
    pub except: Vec<String>,
}

/// A copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub name: String,
    pub version: String,
    /// Its folder, beside this file.
    pub folder: String,
    /// Another name that it goes by, because green-std uses the crate itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Why it was copied too; nothing if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Its waits are shielded: kills and limits do not end them.
    pub shielded: bool,
    /// The table of `patch` it is in, and its key there.
    pub registry: String,
    pub key: String,
    /// What the lock file said of it.
    pub lock: String,
}

/// A manifest of the program in which dependencies were changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// From the workspace's folder.
    pub path: String,
    pub redirected: Vec<Redirected>,
}

impl Record {
    /// The record in `folder`; an empty one if there is no such folder.
    ///
    /// # Errors
    ///
    /// If the folder is there and is not ours.
    pub fn read(folder: &Path) -> Result<Self> {
        if !folder.exists() {
            return Ok(Self::default());
        }
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "{} is there and has no {FILE}: it is not ours",
                folder.display()
            )
        })?;
        toml_edit::de::from_str(&text).with_context(|| path.display().to_string())
    }

    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = toml_edit::ser::to_string_pretty(self)?;
        let head = "# Written by `cargo green patch`, which needs it; `cargo green patch --undo` takes everything back.\n\n";
        Ok(fs::write(folder.join(FILE), format!("{head}{text}"))?)
    }

    pub fn find(&self, name: &str, version: &str) -> Option<&Entry> {
        self.crates
            .iter()
            .find(|entry| entry.name == name && entry.version == version)
    }
}
