//! What was patched, in a file beside the copies: enough to go on from and to take everything back.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::Package;
use serde::{Deserialize, Serialize};

use crate::manifest::Redirected;
use crate::program;
use crate::ties::Ties;

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
    /// Whether it was asked for, or went along.
    pub asked: bool,
    /// Copies that have to go along with it, by their folders.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<String>,
    /// Its waits are shielded: kills and limits do not end them.
    pub shielded: bool,
    /// The table of `patch` it is in, and its key there.
    pub registry: String,
    pub key: String,
    /// What the lock file said of it.
    pub lock: String,
    /// What others have to be copied for, or have it copied for.
    pub ties: Ties,
}

impl Entry {
    fn is_of(&self, original: &Package) -> bool {
        *original.name == self.name && original.version.to_string() == self.version
    }

    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

/// A manifest, of the program or of a copy, in which dependencies were pointed at copies.
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
                "{} is there and has no {FILE}: it is no folder of copies, and nothing in it is touched; --into names another",
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

    /// The entry of a package of a registry.
    pub fn of(&self, original: &Package) -> Option<&Entry> {
        self.crates.iter().find(|entry| entry.is_of(original))
    }

    pub fn of_mut(&mut self, original: &Package) -> Option<&mut Entry> {
        self.crates.iter_mut().find(|entry| entry.is_of(original))
    }

    /// The entry of a copy in `at`.
    pub fn of_copy(&self, copy: &Package, at: &Path) -> Option<&Entry> {
        let mut entries = self.crates.iter();
        entries.find(|entry| program::folder(copy) == at.join(&entry.folder))
    }

    /// What there are copies of, in words.
    pub fn titles(&self) -> String {
        let mut titles: Vec<String> = self.crates.iter().map(Entry::title).collect();
        titles.sort();
        if titles.is_empty() {
            return "nothing".to_owned();
        }
        titles.join(", ")
    }

    /// The folders of the copies.
    pub fn folders(&self) -> Vec<String> {
        let folders = self.crates.iter().map(|entry| entry.folder.clone());
        folders.collect()
    }

    /// Notes a change of the manifest at `path`, from the workspace's folder.
    pub fn redirected(&mut self, path: String, redirected: Vec<Redirected>) {
        if redirected.is_empty() {
            return;
        }
        let mut known = self.manifests.iter_mut();
        match known.find(|manifest| manifest.path == path) {
            Some(manifest) => manifest.redirected.extend(redirected),
            None => self.manifests.push(Manifest { path, redirected }),
        }
    }
}
