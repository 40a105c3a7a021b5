//! Which other crates have to be copied with the ones that were asked for.
//!
//! - What a copied crate depends on, if it waits: for a thread, a peer or a condition, on a hub that has to run meanwhile. One that
//!   only locks is just reported.
//! - Neighbours of a copied crate that name the same type: `TcpStream` is green's on one side then, so it must be on the other.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use cargo_metadata::{Package, PackageId};

use crate::names::{FIRST_USE, Kind};
use crate::program::{Program, title};
use crate::survey::Survey;
use crate::unpatchable;

#[derive(Debug)]
pub struct Chosen<'a> {
    pub package: &'a Package,
    /// `None` for a crate that was asked for.
    pub why: Option<String>,
}

#[derive(Debug)]
pub struct Closure<'a> {
    pub chosen: Vec<Chosen<'a>>,
    /// Packages that stay as they are, and why.
    pub left: Vec<(&'a Package, String)>,
}

/// Surveys, each made once.
#[derive(Debug)]
pub struct Surveys<'a> {
    program: &'a Program,
    made: BTreeMap<PackageId, Survey>,
}

impl<'a> Surveys<'a> {
    pub fn new(program: &'a Program) -> Self {
        Surveys {
            program,
            made: BTreeMap::new(),
        }
    }

    pub fn of(&mut self, package: &Package) -> Result<&Survey> {
        if !self.made.contains_key(&package.id) {
            let survey = Survey::of(package, &self.program.cfg(package))?;
            self.made.insert(package.id.clone(), survey);
        }
        Ok(&self.made[&package.id])
    }
}

/// The closure of `asked`. `stays` tells whether a package is not to be copied, since it is a copy already, or since
/// the user wants that.
pub fn closure<'a>(
    program: &'a Program,
    surveys: &mut Surveys<'_>,
    asked: &[&'a Package],
    stays: impl Fn(&Package) -> bool,
) -> Result<Closure<'a>> {
    let mut result = Closure {
        chosen: Vec::new(),
        left: Vec::new(),
    };
    let mut seen: BTreeSet<&PackageId> = asked.iter().map(|package| &package.id).collect();
    let mut todo: Vec<Chosen> = asked
        .iter()
        .rev()
        .map(|package| Chosen { package, why: None })
        .collect();
    let mut locks = BTreeMap::new();
    while let Some(next) = todo.pop() {
        let package = next.package;
        result.chosen.push(next);
        let candidate = |other: &Package| {
            other.source.is_some()
                && !program.is_member(other)
                && !program.is_below_green(other)
                && !stays(other)
        };
        let through = |other: &Package| candidate(other) && unpatchable::why(other).is_none();
        let below = program.closure(package, through);
        for loops in below
            .iter()
            .copied()
            .chain([package])
            .flat_map(|user| program.dependencies(user))
        {
            if unpatchable::is_event_loop(loops) && seen.insert(&loops.id) {
                result
                    .left
                    .push((loops, unpatchable::why(loops).unwrap_or_default()));
            }
        }
        for below in below {
            if seen.contains(&below.id) {
                continue;
            }
            let Some((kind, file, mention)) = surveys.of(below)?.worst() else {
                continue;
            };
            let place = format!("{} at {}:{}", mention.what, file.display(), mention.line);
            // Who waits there waits for an initialiser, as at a lock.
            let kind = if FIRST_USE.contains(&below.name.as_str()) {
                Kind::Lock
            } else {
                kind
            };
            match kind {
                Kind::Wait => {
                    let why = format!("{} depends on it, and it waits: {place}", title(package));
                    seen.insert(&below.id);
                    todo.push(Chosen {
                        package: below,
                        why: Some(why),
                    });
                }
                // Harmless as long as nothing waits while it is held: whoever knows that it does asks for the crate.
                Kind::Lock => drop(locks.insert(&below.id, (below, place))),
                Kind::Plain | Kind::Disk => {}
            }
        }
        let types: BTreeSet<String> = surveys
            .of(package)?
            .types()
            .map(|(name, ..)| name.to_owned())
            .collect();
        let neighbours = program
            .dependents(package)
            .chain(program.dependencies(package));
        for other in neighbours
            .filter(|other| through(other))
            .collect::<Vec<_>>()
        {
            if seen.contains(&other.id) {
                continue;
            }
            let shared = surveys
                .of(other)?
                .types()
                .find(|(name, ..)| types.contains(*name));
            if let Some((name, file, line)) = shared {
                let why = format!(
                    "it and {} both name {name}: {}:{line}",
                    title(package),
                    file.display()
                );
                seen.insert(&other.id);
                todo.push(Chosen {
                    package: other,
                    why: Some(why),
                });
            }
        }
    }
    for (id, (package, place)) in locks {
        if !seen.contains(id) {
            result.left.push((
                package,
                format!("it locks, {place}; ask for it too if something waits meanwhile"),
            ));
        }
    }
    Ok(result)
}
