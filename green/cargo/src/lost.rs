//! Copies whose folder was deleted, and their record with it: the manifests and the lock file still speak of them.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, bail, ensure};
use toml_edit::{DocumentMut, Item, TableLike, value};

use crate::change::{Change, First};
use crate::lockfile;
use crate::manifest::{self, relative};
use crate::options::Options;
use crate::place::{Place, plain};
use crate::program::Program;
use crate::root_manifest::{include, tidy_patches};

/// What is left of copies.
#[derive(Debug, Default)]
struct Lost {
    /// Manifests and their texts without the copies.
    manifests: Vec<(PathBuf, String)>,
    /// Names and versions of packages, and the sources they came from.
    packages: Vec<(String, String, String)>,
    /// Dependencies of which only the version is known that the copy had.
    loosened: Vec<String>,
}

/// Why the program cannot be read, if that is because the folder is gone.
pub fn explain(Place { root, at, .. }: &Place, error: Error) -> Error {
    let is_lost = !at.exists() && find(root, at).is_ok_and(|lost| !lost.manifests.is_empty());
    if is_lost {
        let at = at.display();
        return error.context(format!(
            "the folder of the copies, {at}, is gone: bring it back, or have `cargo green patch --undo` take back what points at it"
        ));
    }
    error
}

/// `--undo` where the folder is gone.
pub fn undo(options: &Options) -> Result<()> {
    let Place { root, at, .. } = &options.place;
    let lost = find(root, at)?;
    if lost.manifests.is_empty() {
        if let Some(name) = options.crates.first() {
            bail!("{name} is not patched; what is: nothing");
        }
        println!("nothing to do: there are no copies in {}", at.display());
        return Ok(());
    }
    ensure!(
        options.crates.is_empty(),
        "{} is gone, and with it what is known of single copies: `cargo green patch --undo` takes back all of them",
        at.display()
    );
    let lock_path = root.join("Cargo.lock");
    let mut change = Change::new(at, First::Files)?;
    for (path, text) in lost.manifests {
        change.file(path, &text)?;
    }
    if lock_path.is_file() {
        let mut lock = fs::read_to_string(&lock_path)?;
        for (name, version, source) in &lost.packages {
            lock = lockfile::with_source(&lock, name, version, source);
        }
        change.file(lock_path, &lock)?;
    }
    if options.dry_run {
        print!("{}", change.diff_of_files(root)?);
    } else {
        // Cargo brings the lock file up to date.
        change.apply(|| Program::relock(&options.asking))?;
    }
    for dependency in lost.loosened {
        println!("{dependency}: what stood there before went with the folder");
    }
    if options.dry_run {
        println!("nothing was changed");
    } else {
        println!(
            "what pointed at {}, which is gone, was taken back",
            at.display()
        );
    }
    Ok(())
}

fn find(root: &Path, at: &Path) -> Result<Lost> {
    let mut lost = Lost::default();
    for path in manifests(root)? {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        // One that cargo does not read either may be there for a test.
        let Ok(mut manifest) = text.parse::<DocumentMut>() else {
            continue;
        };
        let folder = path.parent().expect("a manifest lies in a folder");
        lost.dependencies(&mut manifest, &path, root, at);
        if folder == root {
            lost.patches(&mut manifest, root, at);
            if !lost.loosened.is_empty() {
                include(&mut manifest, &relative(root, at));
            }
        }
        let changed = manifest.to_string();
        if changed != text {
            lost.manifests.push((path, changed));
        }
    }
    Ok(lost)
}

impl Lost {
    fn patches(&mut self, manifest: &mut DocumentMut, root: &Path, at: &Path) {
        let Some(patch) = manifest.get_mut("patch").and_then(Item::as_table_mut) else {
            return;
        };
        for (registry, table) in patch.iter_mut() {
            let source = manifest::source(registry.get());
            let Some(table) = table.as_table_like_mut() else {
                continue;
            };
            let keys: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
            for key in keys {
                let item = table.get(&key).and_then(Item::as_table_like);
                let Some((name, version)) = item.and_then(|item| copy(item, &key, root, at)) else {
                    continue;
                };
                table.remove(&key);
                self.packages.push((name, version, source.clone()));
            }
        }
        if !self.packages.is_empty() {
            tidy_patches(manifest);
        }
    }

    /// Gives the dependencies on copies under another name back their own.
    fn dependencies(&mut self, manifest: &mut DocumentMut, path: &Path, root: &Path, at: &Path) {
        let folder = path.parent().expect("a manifest lies in a folder");
        for tables in manifest::dependency_tables(manifest) {
            let Some(table) = manifest::table_at(manifest.as_table_mut(), &tables) else {
                continue;
            };
            for (key, item) in table.iter_mut() {
                let Some(dependency) = item.as_table_like_mut() else {
                    continue;
                };
                let Some((package, version)) = copy(dependency, &key, folder, at) else {
                    continue;
                };
                let name = package.strip_prefix("green-").unwrap_or(&package);
                dependency.remove("path");
                dependency.insert("version", value(&version));
                if *key == *name {
                    dependency.remove("package");
                } else {
                    dependency.insert("package", value(name));
                }
                self.loosened.push(format!(
                    "{}: {} = \"{version}\"",
                    relative(root, path),
                    key.get()
                ));
            }
        }
    }
}

/// The package and the version of a copy that a dependency in `folder` points at.
fn copy(
    dependency: &dyn TableLike,
    key: &str,
    folder: &Path,
    at: &Path,
) -> Option<(String, String)> {
    let text = |key| dependency.get(key)?.as_str();
    let path = plain(&folder.join(text("path")?));
    let copy = path.strip_prefix(at).ok()?.to_str()?;
    let package = text("package").unwrap_or(key);
    let version = copy.strip_prefix(package)?.strip_prefix('-')?;
    Some((package.to_owned(), version.to_owned()))
}

/// Every manifest of the workspace, that of its root last. Cargo cannot be asked: it reads none while a copy is missing.
fn manifests(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let name = entry.file_name();
            if entry.file_type()?.is_dir() {
                if name != "target" && !name.to_string_lossy().starts_with('.') {
                    folders.push(entry.path());
                }
            } else if name == "Cargo.toml" {
                found.push(entry.path());
            }
        }
    }
    found.sort_by_key(|path| Reverse(path.components().count()));
    Ok(found)
}
