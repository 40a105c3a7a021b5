//! `cargo green patch --undo`: the manifests, the lock file and the folders as they were, or without some of the copies.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use toml_edit::DocumentMut;

use crate::change::{Change, First};
use crate::copy::copy_folder;
use crate::counted::counted;
use crate::drift;
use crate::lockfile;
use crate::lost;
use crate::manifest::{Redirected, give_back};
use crate::options::Options;
use crate::place::Place;
use crate::program::Program;
use crate::record::{Entry, Manifest, Record};
use crate::root_manifest::{include, remove_patch};

pub fn undo(options: &Options) -> Result<()> {
    let Place { root, at, below } = &options.place;
    if !at.exists() {
        return lost::undo(options);
    }
    let record = Record::read(at)?;
    if record.crates.is_empty() && options.crates.is_empty() {
        println!("nothing to do: there are no copies in {}", at.display());
        return Ok(());
    }
    let (gone, rest) = split(record, &options.crates)?;
    let mut change = Change::new(at, First::Files)?;
    let manifest_path = root.join("Cargo.toml");
    let text =
        fs::read_to_string(&manifest_path).with_context(|| manifest_path.display().to_string())?;
    let mut manifest: DocumentMut = text
        .parse()
        .with_context(|| manifest_path.display().to_string())?;
    for entry in &gone.crates {
        remove_patch(&mut manifest, entry, |path| root.join(path).starts_with(at));
    }
    if rest.crates.iter().all(|entry| entry.package.is_none()) {
        include(&mut manifest, &below.display().to_string());
    }
    let mut texts = vec![(manifest_path, manifest.to_string())];
    for changed in &gone.manifests {
        let path = root.join(&changed.path);
        if path.starts_with(at) {
            continue;
        }
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
    let mut lock = lockfile::read(&lock_path)?;
    for entry in gone.crates.iter().filter(|entry| entry.package.is_none()) {
        lock = lockfile::with_block(&lock, &entry.name, &entry.version, &entry.lock);
    }
    texts.push((lock_path, lock));
    for (path, text) in texts {
        change.file(path, &text)?;
    }

    if options.dry_run {
        print!("{}", change.diff_of_files(root)?);
        for entry in &gone.crates {
            println!("{} would go", at.join(&entry.folder).display());
        }
        for entry in gone.crates.iter().filter(|entry| entry.package.is_some()) {
            println!(
                "Cargo.lock: cargo will have {} again where {} is depended on",
                entry.title(),
                entry.package.as_deref().unwrap_or_default()
            );
        }
        println!("nothing was changed");
        return Ok(());
    }
    if !rest.crates.is_empty() {
        stage(&change.staged(), root, at, &gone, &rest)?;
    }
    // Cargo drops from the lock file what only the copies needed.
    change.apply(|| {
        let program = Program::relock(&options.asking)?;
        drift::refuse(&program, &rest, at)
    })?;
    let copies = counted(gone.crates.len(), "copy is", "copies are");
    println!("{copies} gone");
    for entry in rest.crates {
        println!("{} stays", entry.title());
    }
    Ok(())
}

/// What of the record goes and what stays, if the crates of these names go and what only they needed; all, without a name.
fn split(record: Record, names: &[String]) -> Result<(Record, Record)> {
    if names.is_empty() {
        return Ok((record, Record::default()));
    }
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for spec in names {
        let (name, version) = match spec.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (spec.as_str(), None),
        };
        let before = named.len();
        for entry in &record.crates {
            if entry.name == name && version.is_none_or(|version| entry.version == version) {
                named.insert(&entry.folder);
            }
        }
        ensure!(
            named.len() > before,
            "{spec} is not patched; what is: {}",
            record.titles()
        );
    }
    let mut stays: BTreeSet<&str> = BTreeSet::new();
    let asked =
        (record.crates.iter()).filter(|entry| entry.asked && !named.contains(&*entry.folder));
    let mut todo: Vec<&Entry> = asked.collect();
    while let Some(entry) = todo.pop() {
        stays.insert(&entry.folder);
        for needed in record
            .crates
            .iter()
            .filter(|other| entry.needs.contains(&other.folder))
        {
            ensure!(
                !named.contains(&*needed.folder),
                "{} has to go along with {}, which stays: take both back",
                needed.title(),
                entry.title()
            );
            if !stays.contains(&*needed.folder) {
                todo.push(needed);
            }
        }
    }
    let (mut gone, mut rest) = (Record::default(), Record::default());
    let stays: BTreeSet<String> = stays.into_iter().map(str::to_owned).collect();
    let is_gone = |entry: &Entry| !stays.contains(&entry.folder);
    let packages: BTreeSet<String> = (record.crates.iter().filter(|entry| is_gone(entry)))
        .filter_map(|entry| entry.package.clone())
        .collect();
    (gone.crates, rest.crates) = record.crates.into_iter().partition(is_gone);
    for Manifest { path, redirected } in record.manifests {
        let of_gone = |redirected: &Redirected| packages.contains(&redirected.to);
        let (back, left) = redirected.into_iter().partition(of_gone);
        gone.redirected(path.clone(), back);
        rest.redirected(path, left);
    }
    rest.except = record.except;
    Ok((gone, rest))
}

/// Makes the folder of the copies in `stage`, as the one in `at` is, without those that are gone.
fn stage(stage: &Path, root: &Path, at: &Path, gone: &Record, rest: &Record) -> Result<()> {
    copy_folder(at, stage)?;
    for entry in &gone.crates {
        let copy = stage.join(&entry.folder);
        // Somebody may have deleted it.
        if copy.exists() {
            fs::remove_dir_all(copy)?;
        }
    }
    for changed in &gone.manifests {
        let path = root.join(&changed.path);
        let Ok(below) = path.strip_prefix(at) else {
            continue;
        };
        let path = stage.join(below);
        // It may have gone with its copy.
        if path.exists() {
            let text = fs::read_to_string(&path)?;
            fs::write(path, give_back(&text, &changed.redirected)?)?;
        }
    }
    rest.write(stage)
}
