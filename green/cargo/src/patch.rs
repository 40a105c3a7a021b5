//! `cargo green patch`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::Package;
use toml_edit::DocumentMut;

use crate::allowed::similar_name;
use crate::change::{Change, First, diff};
use crate::choice;
use crate::closure::{Chosen, Surveys, closure};
use crate::copy::{Order, copy, copy_folder};
use crate::counted::counted;
use crate::drift;
use crate::lockfile;
use crate::lost;
use crate::manifest::{self, GreenSource, Renamed, relative};
use crate::options::Options;
use crate::program::{GREEN, OURS, Program, folder, title};
use crate::record::{Entry, Record};
use crate::root_manifest::{add_patch, exclude};
use crate::survey::{self, Survey};
use crate::ties::Ties;
use crate::unpatchable;

pub fn patch(options: &Options) -> Result<()> {
    let at = &options.place.at;
    let program =
        Program::load(&options.asking).map_err(|error| lost::explain(&options.place, error))?;
    let mut record = Record::read(at)?;
    drift::refuse(&program, &record, at)?;

    let asked = asked(&program, &record, at, options)?;
    for name in &options.except {
        ensure!(
            (program.locked().iter()).any(|package| *package.name == *name),
            "--except {name}: it is not in the lock file{}",
            similar_name(program.locked(), name)
        );
        ensure!(
            asked.iter().all(|package| *package.name != *name),
            "{name} is asked for, and left out by --except"
        );
    }
    if asked.is_empty() {
        println!("nothing to do: every copy is there");
        return Ok(());
    }
    record.except.extend(options.except.iter().cloned());
    record.except.sort();
    record.except.dedup();
    let green = GreenSource::of(&program)?;
    let mut surveys = Surveys::new(&program);
    for name in idle(
        &program,
        &mut surveys,
        &asked,
        (&record, at),
        &options.except,
    )? {
        let why = match record.crates.iter().any(|entry| entry.name == name) {
            true => "it has a copy already",
            false => "it would not go along",
        };
        println!("--except {name} leaves nothing out: {why}");
    }
    let stays = |package: &Package| record.except.iter().any(|name| *name == *package.name);
    let copied = |package: &Package| record.of_copy(package, at).map(|entry| entry.ties.clone());
    let closure = closure(&program, &mut surveys, &asked, stays, copied)?;

    for Chosen { package, why } in &closure.chosen {
        let survey = surveys.of(package)?;
        let shielded = if survey.facts.has_unsafe {
            " (it has unsafe code: its waits are shielded)"
        } else {
            ""
        };
        let why = why
            .as_deref()
            .map(|why| format!(": {why}"))
            .unwrap_or_default();
        println!("{}{why}{shielded}", title(package));
        // The one wait of green::parking_lot that a kill ends.
        let bare = survey
            .mentions
            .iter()
            .find(|(_, mention)| mention.what.starts_with("parking_lot::Condvar"));
        if let Some((file, mention)) = bare.filter(|_| survey.facts.has_unsafe) {
            println!(
                "  its wait for a Condvar of parking_lot at {}:{} is not shielded: call it within green::shield",
                file.display(),
                mention.line
            );
        }
        for (file, error) in &survey.unread {
            println!("  {} stays as it is: {error}", file.display());
        }
    }
    for (package, why) in &closure.left {
        println!("{} stays as it is: {why}", title(package));
    }
    let along: Vec<_> = closure
        .chosen
        .iter()
        .filter(|chosen| chosen.why.is_some())
        .collect();
    if !along.is_empty() && !options.yes && !options.dry_run {
        ask(along.len())?;
    }

    let mut change = Change::new(at, First::Folder)?;
    let stage = change.staged();
    if at.exists() {
        copy_folder(at, &stage)?;
    } else {
        fs::create_dir(&stage)?;
        fs::write(
            stage.join("rustfmt.toml"),
            "disable_all_formatting = true\n",
        )?;
    }
    let lock_path = program.root.join("Cargo.lock");
    let lock = lockfile::read(&lock_path)?;
    let mut lock_after = lock.clone();
    let manifest_path = program.root.join("Cargo.toml");
    let before =
        fs::read_to_string(&manifest_path).with_context(|| manifest_path.display().to_string())?;
    let mut root_manifest: DocumentMut = before
        .parse()
        .with_context(|| manifest_path.display().to_string())?;
    let mut features = BTreeSet::new();
    for chosen in &closure.chosen {
        let package = chosen.package;
        let survey = surveys.of(package)?;
        let entry = entry(&program, chosen, survey, &lock, &root_manifest, &record)?;
        let order = Order {
            package,
            new_name: entry.package.as_deref(),
            at: &at.join(&entry.folder),
            green: &green,
            socket2: program.version(package, "socket2"),
        };
        features.extend(copy(&order, survey, &stage.join(&entry.folder))?);
        if entry.package.is_none() {
            add_patch(
                &mut root_manifest,
                &entry,
                &relative(&program.root, order.at),
            )?;
        }
        let new_name = entry.package.as_deref();
        lock_after = lockfile::with_copy(&lock_after, &entry.name, &entry.version, new_name);
        record.crates.push(entry);
    }
    for (package, needed) in &closure.needs {
        let needed = record.of_copy(needed, at).or_else(|| record.of(needed));
        let needed = needed.map(|entry| entry.folder.clone());
        let entry = record.of_mut(package).expect("it was added");
        entry.needs.extend(needed);
    }
    let renamed: Vec<Renamed> = (record.crates.iter())
        .filter_map(|entry| {
            let (name, version) = (entry.name.clone(), entry.version.clone());
            Some(Renamed {
                name,
                version,
                package: entry.package.clone()?,
                folder: at.join(&entry.folder),
            })
        })
        .collect();
    if !renamed.is_empty() {
        exclude(&mut root_manifest, &options.place.below)?;
    }
    let mut texts = vec![(manifest_path.clone(), root_manifest.to_string())];
    if !renamed.is_empty() {
        redirect_copies(&program.root, &renamed, at, &stage, &mut record)?;
        redirect_program(&program, &renamed, &mut texts, &mut record)?;
    }
    for (path, text) in texts {
        if fs::read_to_string(&path)? != text {
            change.file(path, &text)?;
        }
    }
    record.write(&stage)?;
    change.file(lock_path, &lock_after)?;

    if options.dry_run {
        print!("{}", change.diff_of_files(&program.root)?);
        for Chosen { package, .. } in &closure.chosen {
            let entry = record.of(package).expect("it was added");
            print_diff(
                package,
                &stage.join(&entry.folder),
                &options.place.below.join(&entry.folder),
            )?;
        }
        for Chosen { package, .. } in &closure.chosen {
            let entry = record.of(package).expect("it was added");
            if let Some(new_name) = &entry.package {
                println!(
                    "Cargo.lock: cargo will have {new_name} where {} is depended on, but for green",
                    title(package)
                );
            }
        }
        let on = program.features(program.green()?);
        features.retain(|feature| on.iter().all(|on| on != feature));
        if !features.is_empty() {
            let features = Vec::from_iter(features).join(", ");
            println!(
                "Cargo.lock: cargo will resolve what {GREEN} needs for its features {features}"
            );
        }
        println!("nothing was changed");
        return Ok(());
    }
    change.apply(|| {
        let program = Program::relock(&options.asking)?;
        drift::refuse(&program, &record, at)
    })?;
    let copies = counted(closure.chosen.len(), "copy", "copies");
    println!("{copies} in {}", at.display());
    Ok(())
}

/// Those of `except` that would not go along without it either.
fn idle<'a>(
    program: &Program,
    surveys: &mut Surveys<'_>,
    asked: &[&Package],
    (record, at): (&Record, &Path),
    except: &'a [String],
) -> Result<Vec<&'a str>> {
    let stays = |package: &Package| {
        let is_it = |name: &&String| **name == *package.name;
        record.except.iter().any(|name| is_it(&name)) && !except.iter().any(|name| is_it(&name))
    };
    let copied = |package: &Package| record.of_copy(package, at).map(|entry| entry.ties.clone());
    let without = closure(program, surveys, asked, stays, copied)?.chosen;
    let goes = |name: &str| without.iter().any(|chosen| *chosen.package.name == *name);
    let idle = except.iter().map(String::as_str).filter(|name| !goes(name));
    Ok(idle.collect())
}

/// The packages that were asked for and are not patched yet.
fn asked<'a>(
    program: &'a Program,
    record: &Record,
    at: &Path,
    options: &Options,
) -> Result<Vec<&'a Package>> {
    let mut asked: Vec<&Package> = Vec::new();
    for spec in &options.crates {
        let (name, version) = match spec.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (spec.as_str(), None),
        };
        let is_meant = |package: &&Package| {
            *package.name == name
                && version.is_none_or(|version| package.version.to_string() == version)
        };
        let found: Vec<&Package> = program.packages().filter(is_meant).collect();
        if found.is_empty() {
            let locked: Vec<&Package> = program.locked().iter().filter(is_meant).collect();
            ensure!(
                !locked.is_empty(),
                "{spec} is not in the lock file{}",
                similar_name(program.locked(), name)
            );
            bail!(
                "{spec} is in the lock file, but {}",
                choice::why_out(program, &options.asking, &locked)?
            );
        }
        for package in found {
            let is_copy = folder(package).starts_with(at);
            if is_copy
                || record.of(package).is_some()
                || asked.iter().any(|other| other.id == package.id)
            {
                continue;
            }
            ensure!(
                !program.is_member(package),
                "{} is the program's own: change its `std::` to `green::`; `cargo green check` tells where",
                title(package)
            );
            match package.source.as_ref().map(|source| source.repr.as_str()) {
                None => bail!(
                    "{} comes from {}, not from a registry: change it there",
                    title(package),
                    folder(package).display()
                ),
                Some(source) if !source.contains("registry+") && !source.starts_with("sparse+") => {
                    bail!(
                        "{} comes from {source}, not from a registry: change it there",
                        title(package)
                    );
                }
                Some(_) => {}
            }
            if let Some(why) = unpatchable::why(package) {
                bail!("{} cannot be made green: {why}", title(package));
            }
            ensure!(
                !OURS.contains(&package.name.as_str()),
                "{name} is green itself"
            );
            asked.push(package);
        }
    }
    Ok(asked)
}

fn ask(along: usize) -> Result<()> {
    let few = counted(along, "crate goes", "crates go");
    ensure!(
        std::io::stdin().is_terminal(),
        "{few} along; with --yes it is done, nothing was changed"
    );
    print!("{few} along. Go on? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    ensure!(
        matches!(answer.trim(), "y" | "Y" | "yes"),
        "nothing was changed"
    );
    Ok(())
}

fn entry(
    program: &Program,
    Chosen { package, why }: &Chosen<'_>,
    survey: &Survey,
    lock: &str,
    root_manifest: &DocumentMut,
    record: &Record,
) -> Result<Entry> {
    let (name, version) = (package.name.to_string(), package.version.to_string());
    let renamed = program
        .is_below_green(package)
        .then(|| format!("green-{name}"));
    let source = package
        .source
        .as_ref()
        .map(|source| source.repr.as_str())
        .unwrap_or_default();
    let registry = manifest::patch_table(source)?;
    let patches = root_manifest
        .get("patch")
        .and_then(|patch| patch.get(&registry));
    let taken = |key: &str| patches.is_some_and(|patches| patches.get(key).is_some());
    let mut key = name.clone();
    if taken(&key) {
        let by_us = record
            .crates
            .iter()
            .any(|entry| entry.registry == registry && entry.key == key);
        ensure!(
            by_us,
            "{name} has a patch already, in [patch.{registry}] of the program's manifest, and it is not ours"
        );
        key = format!("{name}-{}", version.replace(['.', '+'], "_"));
    }
    let block =
        lockfile::block(lock, &name, &version).context("the lock file is not understood")?;
    Ok(Entry {
        folder: format!("{}-{version}", renamed.as_ref().unwrap_or(&name)),
        package: renamed,
        asked: why.is_none(),
        needs: BTreeSet::new(),
        shielded: survey.facts.has_unsafe,
        ties: Ties::of(package, survey),
        registry,
        key,
        lock: block.to_owned(),
        name,
        version,
    })
}

fn redirect_copies(
    root: &Path,
    renamed: &[Renamed],
    at: &Path,
    stage: &Path,
    record: &mut Record,
) -> Result<()> {
    for folder in record.folders() {
        let path = stage.join(&folder).join("Cargo.toml");
        let at = at.join(&folder);
        let (text, redirected) = manifest::redirect(&fs::read_to_string(&path)?, renamed, &at)?;
        fs::write(path, text)?;
        record.redirected(relative(root, &at.join("Cargo.toml")), redirected);
    }
    Ok(())
}

fn redirect_program(
    program: &Program,
    renamed: &[Renamed],
    texts: &mut Vec<(PathBuf, String)>,
    record: &mut Record,
) -> Result<()> {
    // Green itself may be a member, and keeps its own.
    let members = (program.members())
        .filter(|member| !program.is_below_green(member))
        .map(|member| member.manifest_path.as_std_path().to_owned());
    let paths: BTreeSet<PathBuf> = members.chain([program.root.join("Cargo.toml")]).collect();
    for path in paths {
        let changed = texts.iter().position(|(known, _)| *known == path);
        let text = match changed {
            Some(index) => texts[index].1.clone(),
            None => fs::read_to_string(&path)?,
        };
        let at = path.parent().expect("a manifest lies in a folder");
        let (text, redirected) = manifest::redirect(&text, renamed, at)?;
        if redirected.is_empty() {
            continue;
        }
        record.redirected(relative(&program.root, &path), redirected);
        match changed {
            Some(index) => texts[index].1 = text,
            None => texts.push((path, text)),
        }
    }
    Ok(())
}

fn print_diff(package: &Package, copy: &Path, shown: &Path) -> Result<()> {
    let files = survey::sources(package)?;
    for file in files.into_iter().chain(["Cargo.toml".into()]) {
        let before = fs::read(folder(package).join(&file))?;
        let after = fs::read(copy.join(&file))?;
        let name = shown.join(&file).display().to_string();
        print!(
            "{}",
            diff(
                &String::from_utf8_lossy(&before),
                &String::from_utf8_lossy(&after),
                &name
            )
        );
    }
    Ok(())
}
