//! A change of the program on disk: first made completely in another place, then put in place at once, or
//! not at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use similar::TextDiff;

use crate::stage::{self, Stage};

/// What is put in place first, so that files never point at what is not there: whoever is killed meanwhile can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// It gets more.
    Folder,
    /// It gets less.
    Files,
}

/// A folder and some files that are to be replaced.
#[derive(Debug)]
pub struct Change {
    stage: Stage,
    /// Where the new folder goes.
    folder: PathBuf,
    /// Files and their new texts.
    files: Vec<(PathBuf, String)>,
    first: First,
}

impl Change {
    /// A change of `folder`, which need not be there, in a workspace.
    ///
    /// # Errors
    ///
    /// If the place cannot be written to.
    pub fn new(folder: &Path, first: First) -> Result<Self> {
        Ok(Change {
            stage: Stage::beside(folder)?,
            folder: folder.to_owned(),
            files: Vec::new(),
            first,
        })
    }

    /// Where to make the new folder.
    pub fn staged(&self) -> PathBuf {
        self.stage.fresh()
    }

    /// Replaces the text of a file. Lines that stay keep their ends, and new ones get that of most.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn file(&mut self, path: PathBuf, text: &str) -> Result<()> {
        let before = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let text = with_line_ends(&before, text);
        self.files.push((path, text));
        Ok(())
    }

    /// Puts everything in place and calls `check`; if that fails, or anything before it, everything is
    /// restored.
    pub fn apply<T>(self, check: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut before = Vec::new();
        for (path, _) in &self.files {
            let bytes = fs::read(path).with_context(|| path.display().to_string())?;
            before.push((path.as_path(), bytes));
        }
        let had = self.folder.exists();
        let result = self.put().and_then(|()| check());
        match result {
            // From here on a run that is killed has done its work.
            Ok(_) => drop(fs::rename(self.stage.old(), self.stage.gone())),
            Err(_) => self.restore(&before, had)?,
        }
        result
    }

    fn put(&self) -> Result<()> {
        match self.first {
            First::Folder => {
                self.put_folder()?;
                self.put_files()
            }
            First::Files => {
                self.put_files()?;
                self.put_folder()
            }
        }
    }

    fn put_folder(&self) -> Result<()> {
        let name = || self.folder.display().to_string();
        if self.folder.exists() {
            fs::rename(&self.folder, self.stage.old()).with_context(name)?;
        }
        if self.staged().exists() {
            fs::rename(self.staged(), &self.folder).with_context(name)?;
        }
        Ok(())
    }

    fn put_files(&self) -> Result<()> {
        for (path, text) in &self.files {
            replace(path, text.as_bytes())?;
        }
        Ok(())
    }

    /// The other way round.
    fn restore(&self, before: &[(&Path, Vec<u8>)], had: bool) -> Result<()> {
        match self.first {
            First::Folder => {
                restore_files(before)?;
                self.restore_folder(had)
            }
            First::Files => {
                self.restore_folder(had)?;
                restore_files(before)
            }
        }
    }

    fn restore_folder(&self, had: bool) -> Result<()> {
        let old = self.stage.old();
        if !had || old.exists() {
            if self.folder.exists() {
                fs::rename(&self.folder, self.stage.failed())?;
            }
            if old.exists() {
                fs::rename(old, &self.folder)?;
            }
        }
        Ok(())
    }

    /// What would change in the files.
    pub fn diff_of_files(&self, root: &Path) -> Result<String> {
        let mut result = String::new();
        for (path, text) in &self.files {
            let before = fs::read_to_string(path)?;
            let name = path
                .strip_prefix(root)
                .unwrap_or(path)
                .display()
                .to_string();
            result += &diff(&before, text, &name);
        }
        Ok(result)
    }
}

fn restore_files(before: &[(&Path, Vec<u8>)]) -> Result<()> {
    for (path, bytes) in before {
        if fs::read(path).ok().as_ref() != Some(bytes) {
            replace(path, bytes)
                .with_context(|| format!("{} cannot be restored", path.display()))?;
        }
    }
    Ok(())
}

/// Replaces a file as a whole: nobody ever sees half of it.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    // A link stays one.
    let path = fs::canonicalize(path).with_context(|| path.display().to_string())?;
    let name = || path.display().to_string();
    let beside = path.parent().context("a file lies in a folder")?;
    let mut file = stage::file_in(beside).with_context(|| beside.display().to_string())?;
    file.write_all(bytes).with_context(name)?;
    fs::set_permissions(file.path(), fs::metadata(&path)?.permissions())?;
    file.persist(&path).with_context(name)?;
    Ok(())
}

/// `text` with the ends of the lines that `before` has too, and for others the end that most of them have.
fn with_line_ends(before: &str, text: &str) -> String {
    if !before.contains('\r') {
        return text.to_owned();
    }
    let bare = |line: &str| line.trim_end_matches(['\r', '\n']).to_owned();
    let (old, new): (Vec<&str>, Vec<&str>) = (
        before.split_inclusive('\n').collect(),
        text.split_inclusive('\n').collect(),
    );
    let usual = match 2 * before.matches("\r\n").count() > old.len() {
        true => "\r\n",
        false => "\n",
    };
    let bares = |lines: &[&str]| -> Vec<String> { lines.iter().map(|line| bare(line)).collect() };
    let (old_bare, new_bare) = (bares(&old), bares(&new));
    let mut result = String::new();
    for part in similar::capture_diff_slices(similar::Algorithm::Myers, &old_bare, &new_bare) {
        let stays = part.tag() == similar::DiffTag::Equal;
        for (index, at) in part.new_range().enumerate() {
            match stays {
                true => result += old[part.old_range().start + index],
                false => {
                    result += &new_bare[at];
                    if new[at].ends_with('\n') {
                        result += usual;
                    }
                }
            }
        }
    }
    result
}

/// A unified diff, or nothing if both are the same.
pub fn diff(before: &str, after: &str, name: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let (old, new) = (format!("a/{name}"), format!("b/{name}"));
    diff.unified_diff().header(&old, &new).to_string()
}
