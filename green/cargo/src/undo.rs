//! `cargo green patch --undo`: the manifests, the lock file and the folders as they were.

use std::fs;

use anyhow::{Context, Result, ensure};
use toml_edit::{DocumentMut, Item};

use crate::change::Change;
use crate::counted::counted;
use crate::lockfile;
use crate::manifest::give_back;
use crate::patch::Options;
use crate::program::{Program, root};
use crate::record::{Entry, Record};

pub fn undo(options: &Options) -> Result<()> {
    let root = root(&options.asking)?;
    let at = root.join(&options.into);
    let record = Record::read(&at)?;
    if record.crates.is_empty() {
        println!("nothing to do: there are no copies in {}", at.display());
        return Ok(());
    }
    let mut change = Change::new(&at)?;
    let manifest_path = root.join("Cargo.toml");
    let text =
        fs::read_to_string(&manifest_path).with_context(|| manifest_path.display().to_string())?;
    let mut manifest: DocumentMut = text
        .parse()
        .with_context(|| manifest_path.display().to_string())?;
    for entry in &record.crates {
        remove_patch(&mut manifest, entry, |path| {
            root.join(path).starts_with(&at)
        });
    }
    if record.crates.iter().any(|entry| entry.package.is_some()) {
        include(&mut manifest, &options.into.display().to_string());
    }
    let mut texts = vec![(manifest_path, manifest.to_string())];
    for changed in &record.manifests {
        let path = root.join(&changed.path);
        match texts.iter_mut().find(|(known, _)| *known == path) {
            Some((_, text)) => *text = give_back(text, &changed.redirected)?,
            None => texts.push((
                path.clone(),
                give_back(&fs::read_to_string(&path)?, &changed.redirected)?,
            )),
        }
    }
    let lock_path = root.join("Cargo.lock");
    ensure!(lock_path.is_file(), "no lock file {}", lock_path.display());
    let mut lock = fs::read_to_string(&lock_path)?;
    for entry in record.crates.iter().filter(|entry| entry.package.is_none()) {
        lock = lockfile::with_block(&lock, &entry.name, &entry.version, &entry.lock);
    }
    texts.push((lock_path, lock));

    if options.dry_run {
        for (path, text) in texts {
            change.file(path, text);
        }
        print!("{}", change.diff_of_files(&root)?);
        println!("{} would go; nothing was changed", at.display());
        return Ok(());
    }
    for (path, text) in texts {
        change.file(path, text);
    }
    // Cargo drops from the lock file what only the copies needed.
    change.apply(|| Program::relock(&options.asking))?;
    let copies = counted(record.crates.len(), "copy is", "copies are");
    println!("{copies} gone");
    Ok(())
}

fn remove_patch(manifest: &mut DocumentMut, entry: &Entry, is_ours: impl Fn(&str) -> bool) {
    let Some(patch) = manifest.get_mut("patch").and_then(Item::as_table_mut) else {
        return;
    };
    if let Some(table) = patch
        .get_mut(&entry.registry)
        .and_then(Item::as_table_like_mut)
    {
        let path = table
            .get(&entry.key)
            .and_then(|item| item.as_table_like()?.get("path")?.as_str());
        if path.is_some_and(is_ours) {
            table.remove(&entry.key);
        }
        if table.is_empty() {
            patch.remove(&entry.registry);
        }
    }
    if patch.is_empty() {
        manifest.remove("patch");
    }
}

fn include(manifest: &mut DocumentMut, folder: &str) {
    let Some(workspace) = manifest
        .get_mut("workspace")
        .and_then(Item::as_table_like_mut)
    else {
        return;
    };
    if let Some(exclude) = workspace.get_mut("exclude").and_then(Item::as_array_mut) {
        exclude.retain(|path| path.as_str() != Some(folder));
        if exclude.is_empty() {
            workspace.remove("exclude");
        }
    }
}
