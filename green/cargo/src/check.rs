//! `cargo green check`: what in a whole program still holds a hub, or deadlocks it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use cargo_metadata::Package;

use crate::asking::Asking;
use crate::choice;
use crate::closure::Surveys;
use crate::counted::counted;
use crate::drift;
use crate::lost;
use crate::names::{FIRST_USE, Kind, MACROS};
use crate::place::Place;
use crate::program::{OURS, Program, folder, library, title};
use crate::record::Record;
use crate::rewrite::{Found, Mention, Via};
use crate::survey::Survey;
use crate::unpatchable;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// It holds a hub or deadlocks it.
    Error,
    /// It may do so; only the user knows.
    Note,
    /// It would, but for the hooks of `green-monkey`, which is linked.
    Hooked,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    weight: Weight,
    /// A file and a line, or a package.
    place: String,
    line: usize,
    what: String,
}

/// Prints what it finds; returns whether there was no error.
pub fn check(asking: &Asking, place: &Place) -> Result<bool> {
    let program = Program::load(asking).map_err(|error| lost::explain(place, error))?;
    let at = place.at.clone();
    let record = Record::read(&at)?;
    let mut check = Check {
        program: &program,
        at,
        hooked: program.is_hooked(),
        allowed: program.allowed(),
        findings: BTreeSet::new(),
    };
    check.allowed.extend(record.except.iter().cloned());
    for wrong in drift::drift(&program, &record, &check.at)? {
        check.add(Weight::Error, "Cargo.toml", 0, wrong);
    }
    check.two_copies(&record);
    let mut surveys = Surveys::new(&program);
    for package in program.packages() {
        if program.is_below_green(package) || check.allowed.contains(package.name.as_str()) {
            continue;
        }
        let copy = folder(package).starts_with(&check.at);
        if copy || program.is_member(package) {
            check.green_code(package, surveys.of(package)?, copy)?;
        }
    }
    check.dependencies(&mut surveys)?;
    let clean = check.tell();
    let off = choice::off(&program);
    if !off.is_empty() {
        let crates = match choice::left_out(&program, asking)? {
            crates if crates.is_empty() => String::new(),
            crates => format!(", and so {}", crates.join(", ")),
        };
        println!(
            "not looked at, since they are off: the features {}{crates}; --features or --all-features turns them on",
            off.join(", ")
        );
    }
    Ok(clean)
}

struct Check<'a> {
    program: &'a Program,
    at: PathBuf,
    /// `green-monkey` is linked.
    hooked: bool,
    /// Packages that the user has looked at.
    allowed: BTreeSet<String>,
    findings: BTreeSet<Finding>,
}

impl Check<'_> {
    fn add(
        &mut self,
        weight: Weight,
        place: impl Into<String>,
        line: usize,
        what: impl Into<String>,
    ) {
        self.findings.insert(Finding {
            weight,
            place: place.into(),
            line,
            what: what.into(),
        });
    }

    /// The weight of a finding that hooks would answer, or not.
    fn unless_hooked(&self, weight: Weight, answered: bool) -> Weight {
        if self.hooked && answered {
            Weight::Hooked
        } else {
            weight
        }
    }

    fn two_copies(&mut self, record: &Record) {
        for entry in record.crates.iter().filter(|entry| entry.package.is_none()) {
            for other in self.program.packages() {
                let unpatched = *other.name == *entry.name && other.source.is_some();
                if unpatched && !self.allowed.contains(&entry.name) {
                    let what = format!(
                        "it is there beside the copy of {}: both have types and locks of their own; `cargo green patch {}@{}`",
                        entry.version, entry.name, other.version
                    );
                    self.add(Weight::Error, title(other), 0, what);
                }
            }
        }
    }

    /// Code of the program itself, or of a copy: all of it is meant to run on green threads.
    fn green_code(&mut self, package: &Package, survey: &Survey, copy: bool) -> Result<()> {
        let mut sockets: BTreeSet<&Path> = BTreeSet::new();
        let mut first_unsafe = None;
        for (file, mention) in &survey.mentions {
            let path = folder(package).join(file);
            // One that is made here, and not turned into std's or green's.
            if mention.found == Found::Socket2 && mention.what.ends_with("Socket::new") {
                sockets.insert(file);
            }
            if mention.found == Found::Unsafe {
                first_unsafe.get_or_insert((file, mention.line));
            }
            let Some((weight, what)) =
                in_green_code(mention, sockets.contains(file.as_path()), copy)
            else {
                continue;
            };
            let weight = self.unless_hooked(weight, hooks_answer(mention));
            if !allows(&fs::read_to_string(&path)?, mention.line) {
                self.add(weight, self.shown(&path), mention.line, what);
            }
        }
        for (file, error) in &survey.unread {
            let place = self.shown(&folder(package).join(file));
            self.add(
                Weight::Note,
                place,
                0,
                format!("it was not understood: {error}"),
            );
        }
        if let Some((file, line)) = first_unsafe
            && !copy
        {
            let path = folder(package).join(file);
            if !allows(&fs::read_to_string(&path)?, line) {
                let what = "unsafe code: if it relies on a wait that returns, put that into green::shield, since a kill or a limit unwinds it";
                self.add(Weight::Note, self.shown(&path), line, what);
            }
        }
        Ok(())
    }

    /// What the program and its copies stand on.
    fn dependencies(&mut self, surveys: &mut Surveys<'_>) -> Result<()> {
        let mut users: BTreeMap<&cargo_metadata::PackageId, (&Package, Vec<&Package>)> =
            BTreeMap::new();
        let roots: Vec<&Package> = self.program.members().collect();
        let mut todo = roots;
        let mut seen: BTreeSet<_> = todo.iter().map(|package| &package.id).collect();
        while let Some(package) = todo.pop() {
            for below in self.program.dependencies(package) {
                users
                    .entry(&below.id)
                    .or_insert((below, Vec::new()))
                    .1
                    .push(package);
                // What an event loop uses below it does not matter here.
                let stop = self.program.is_below_green(below) || unpatchable::why(below).is_some();
                if !stop && seen.insert(&below.id) {
                    todo.push(below);
                }
            }
        }
        for (package, users) in users.into_values() {
            let ours = package.source.is_none()
                || self.program.is_below_green(package)
                || OURS.contains(&package.name.as_str());
            if ours || self.allowed.contains(package.name.as_str()) {
                continue;
            }
            let by = users
                .iter()
                .map(|user| title(user))
                .collect::<Vec<_>>()
                .join(", ");
            if unpatchable::is_event_loop(package) {
                let why = unpatchable::why(package).unwrap_or_default();
                let answered = unpatchable::is_hooked_loop(package);
                let weight = self.unless_hooked(Weight::Error, answered);
                self.add(weight, title(package), 0, format!("{why} (used by {by})"));
            } else if unpatchable::why(package).is_none() {
                self.dependency(package, surveys.of(package)?, &by);
            }
            if let Some(why) = unpatchable::in_c(package) {
                let weight = self.unless_hooked(Weight::Note, true);
                self.add(weight, title(package), 0, format!("{why} (used by {by})"));
            }
        }
        Ok(())
    }

    fn dependency(&mut self, package: &Package, survey: &Survey, by: &str) {
        if library(package).is_none() {
            return;
        }
        let name = &package.name;
        let place = |file: &Path| format!("{}/{}", title(package), file.display());
        let resolves = survey
            .mentions
            .iter()
            .find(|(_, mention)| mention.what == ".to_socket_addrs()");
        let mut told = true;
        match survey.worst() {
            Some((Kind::Wait, file, mention)) if !FIRST_USE.contains(&name.as_str()) => {
                let what = format!(
                    "{} waits, and its hub with it: `cargo green patch {name}` (used by {by})",
                    mention.what
                );
                let weight = self.unless_hooked(Weight::Error, true);
                self.add(weight, place(file), mention.line, what);
            }
            _ if resolves.is_some() => {
                let (file, mention) = resolves.expect("it was just there");
                let what = format!(
                    "a look-up of a name there holds the hub: `cargo green patch {name}` if it is called (used by {by})"
                );
                let weight = self.unless_hooked(Weight::Note, true);
                self.add(weight, place(file), mention.line, what);
            }
            Some((Kind::Wait | Kind::Lock, file, mention)) => {
                let what = format!(
                    "{} is std's: if something waits while it is held, neighbours hang; `cargo green patch {name}` then (used by {by})",
                    mention.what
                );
                let weight = self.unless_hooked(Weight::Note, true);
                self.add(weight, place(file), mention.line, what);
            }
            _ => told = false,
        }
        // What is worse is told alone, unless hooks answer it.
        let disk = survey
            .first(|kind, mention| kind == Kind::Disk && !(self.hooked && hooks_answer(mention)));
        if let Some((file, mention)) = disk.filter(|_| self.hooked || !told) {
            let what = format!(
                "{} may wait for the disk, and its hub with it: `cargo green patch {name}` if it does so often (used by {by})",
                mention.what
            );
            self.add(Weight::Note, place(file), mention.line, what);
        }
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.program.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }

    fn tell(&self) -> bool {
        for finding in &self.findings {
            let weight = match finding.weight {
                Weight::Error => "error",
                Weight::Note => "note",
                Weight::Hooked => "hooked",
            };
            let line = if finding.line == 0 {
                String::new()
            } else {
                format!(":{}", finding.line)
            };
            println!("{weight}: {}{line}: {}", finding.place, finding.what);
        }
        let number = |weight| {
            let findings = self.findings.iter();
            findings.filter(|finding| finding.weight == weight).count()
        };
        let (errors, notes, hooked) = (
            number(Weight::Error),
            number(Weight::Note),
            number(Weight::Hooked),
        );
        let answered = if hooked > 0 {
            format!(
                ", {hooked} that green-monkey answers once monkey_patch(Patch::all()) was called"
            )
        } else {
            String::new()
        };
        println!(
            "{}, {}{answered}",
            counted(errors, "error", "errors"),
            counted(notes, "note", "notes")
        );
        errors == 0
    }
}

/// Whether `green-monkey` parks a green thread that comes there. Files are opened, renamed and synchronised past its hooks.
fn hooks_answer(mention: &Mention) -> bool {
    match mention.found {
        Found::Std(Kind::Disk) => {
            mention.what.starts_with("std::io::") || mention.what == "std::net::ToSocketAddrs"
        }
        Found::Std(_) | Found::Raw | Found::Method | Found::FirstUse | Found::NotRewritten => true,
        // It spins, or has nothing to do with waits.
        Found::Foreign | Found::Socket2 | Found::Unsafe => false,
    }
}

/// What a mention means in code that runs on green threads.
fn in_green_code(mention: &Mention, sockets: bool, copy: bool) -> Option<(Weight, String)> {
    let what = &mention.what;
    let name = what.strip_prefix("std::").unwrap_or(what);
    Some(match mention.found {
        // The import is what has to change, so its uses are not told of.
        Found::Std(_) if mention.via == Via::Local || MACROS.contains(&name) => return None,
        Found::Std(_) if what.starts_with("std::") => {
            (Weight::Error, format!("{what}: use green::{name}"))
        }
        Found::Std(_) if what.starts_with("parking_lot") => (
            Weight::Error,
            format!("{what}: use green::{what}, with the feature parking_lot"),
        ),
        Found::Std(_) => (Weight::Error, format!("{what}: use green::channel")),
        Found::Foreign => (
            Weight::Error,
            format!("{what} holds its hub while it waits: use green::sync"),
        ),
        Found::Raw if mention.via != Via::Local => (
            Weight::Error,
            format!(
                "{what} holds its hub: call it by green::blocking, or wait by green::trampoline first"
            ),
        ),
        Found::Method
            if sockets && matches!(what.as_str(), ".connect()" | ".connect_timeout()") =>
        {
            (
                Weight::Error,
                format!("{what} of socket2 holds its hub: connect by green::net::TcpStream"),
            )
        }
        Found::NotRewritten => (
            Weight::Error,
            format!("{what}: what it brings is std's; name what is needed, from green"),
        ),
        Found::FirstUse if !copy && mention.via != Via::Local => (
            Weight::Note,
            format!(
                "{what}: if the first use waits, neighbours hang; green::sync::LazyLock and OnceLock do not"
            ),
        ),
        Found::FirstUse if mention.via == Via::Import => (
            Weight::Note,
            format!(
                "{what}: if the first use waits, neighbours hang; `cargo green patch` it too then"
            ),
        ),
        _ => return None,
    })
}

/// The line, or the one before, says that it is meant so.
fn allows(text: &str, line: usize) -> bool {
    let mut lines = text
        .lines()
        .skip(line.saturating_sub(2))
        .take(if line < 2 { 1 } else { 2 });
    lines.any(|line| line.contains("cargo-green: allow"))
}
