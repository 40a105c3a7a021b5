//! A change of the program on disk: first made completely in another place, then put in place at once, or
//! not at all.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use similar::TextDiff;
use tempfile::TempDir;

/// A folder and some files that are to be replaced.
#[derive(Debug)]
pub struct Change {
    /// Where the new folder is made. Removed with the change.
    stage: TempDir,
    /// Where it goes.
    folder: PathBuf,
    /// Files and their new texts.
    files: Vec<(PathBuf, String)>,
}

impl Change {
    /// A change of `folder`, which need not be there, in a workspace.
    ///
    /// # Errors
    ///
    /// If the place cannot be written to.
    pub fn new(folder: &Path) -> Result<Self> {
        let parent = folder
            .parent()
            .context("the folder of the copies has no parent")?;
        let stage = (tempfile::Builder::new()
            .prefix(".cargo-green-")
            .tempdir_in(parent))
        .with_context(|| format!("nothing can be written to {}, where the folder of the copies is to be; --into names another", parent.display()))?;
        Ok(Change {
            stage,
            folder: folder.to_owned(),
            files: Vec::new(),
        })
    }

    /// Where to make the new folder.
    pub fn staged(&self) -> PathBuf {
        self.stage.path().join("new")
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
            before.push((
                path,
                fs::read(path).with_context(|| path.display().to_string())?,
            ));
        }
        let old = self.stage.path().join("old");
        let had = self.folder.exists();
        let result = self.put(&old).and_then(|()| check());
        if result.is_err() {
            for (path, bytes) in before {
                if fs::read(path).ok().as_ref() != Some(&bytes) {
                    fs::write(path, bytes)
                        .with_context(|| format!("{} cannot be restored", path.display()))?;
                }
            }
            if !had || old.exists() {
                if self.folder.exists() {
                    fs::rename(&self.folder, self.stage.path().join("failed"))?;
                }
                if old.exists() {
                    fs::rename(&old, &self.folder)?;
                }
            }
        }
        result
    }

    fn put(&self, old: &Path) -> Result<()> {
        // A folder is there before files point at it, and goes after them: whoever is killed meanwhile can go on.
        let stays = self.staged().exists();
        if !stays {
            self.put_files()?;
        }
        if self.folder.exists() {
            fs::rename(&self.folder, old).with_context(|| self.folder.display().to_string())?;
        }
        if stays {
            fs::rename(self.staged(), &self.folder)
                .with_context(|| self.folder.display().to_string())?;
            self.put_files()?;
        }
        Ok(())
    }

    fn put_files(&self) -> Result<()> {
        for (path, text) in &self.files {
            // A link stays one.
            let path = fs::canonicalize(path).with_context(|| path.display().to_string())?;
            let beside = path.parent().context("a file lies in a folder")?;
            // A file is replaced as a whole: nobody ever sees half of it.
            let mut file = tempfile::NamedTempFile::new_in(beside)
                .with_context(|| beside.display().to_string())?;
            std::io::Write::write_all(&mut file, text.as_bytes())?;
            fs::set_permissions(file.path(), fs::metadata(&path)?.permissions())?;
            file.persist(&path)
                .with_context(|| path.display().to_string())?;
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
