//! Which other crates have to be copied with the ones that were asked for.
//!
//! - What a copied crate depends on, if it waits: for a thread, a peer or a condition, on a hub that has to run meanwhile. One that
//!   only locks is just reported.
//! - Neighbours of a copied crate that name the same type: `TcpStream` is green's on one side then, so it must be on the other.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use cargo_metadata::{Package, PackageId};

use crate::program::{Program, title};
use crate::survey::Survey;
use crate::ties::Ties;
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
    /// Which of them needs which other, or which copy that is there already.
    pub needs: Vec<(&'a Package, &'a Package)>,
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

/// The closure of `asked`. `stays` tells whether a package is not to be copied, since the user wants that; `copied`, what ties
/// one that is a copy already to others.
pub fn closure<'a>(
    program: &'a Program,
    surveys: &mut Surveys<'_>,
    asked: &[&'a Package],
    stays: impl Fn(&Package) -> bool,
    copied: impl Fn(&Package) -> Option<Ties>,
) -> Result<Closure<'a>> {
    let mut result = Closure {
        chosen: Vec::new(),
        needs: Vec::new(),
        left: Vec::new(),
    };
    let mut seen: BTreeSet<&PackageId> = asked.iter().map(|package| &package.id).collect();
    let mut todo: Vec<Chosen> = asked
        .iter()
        .rev()
        .map(|package| Chosen { package, why: None })
        .collect();
    let mut may_hold = BTreeMap::new();
    let mut told = BTreeSet::new();
    let mut ties = |package: &Package| match copied(package) {
        Some(ties) => Ok(ties),
        None => anyhow::Ok(Ties::of(package, surveys.of(package)?)),
    };
    while let Some(next) = todo.pop() {
        let package = next.package;
        result.chosen.push(next);
        let is_copy = |other: &Package| copied(other).is_some();
        let through = |other: &Package| {
            let may_be_copied = other.source.is_some()
                && !program.is_below_green(other)
                && !stays(other)
                && unpatchable::why(other).is_none();
            !program.is_member(other) && (may_be_copied || is_copy(other))
        };
        let below = program.closure(package, through);
        for other in below
            .iter()
            .copied()
            .chain([package])
            .flat_map(|user| program.dependencies(user))
        {
            let why = if unpatchable::is_event_loop(other) {
                unpatchable::why(other)
            } else {
                unpatchable::in_c(other).filter(|_| !program.is_below_green(other))
            };
            if let Some(why) = why
                && !stays(other)
                && told.insert(&other.id)
            {
                result.left.push((other, why));
            }
        }
        let mut need = |other: &'a Package, why: String| {
            result.needs.push((package, other));
            if seen.insert(&other.id) && !is_copy(other) {
                todo.push(Chosen {
                    package: other,
                    why: Some(why),
                });
            }
        };
        for below in below {
            let ties = ties(below)?;
            if let Some(place) = ties.waits {
                let why = format!("{} depends on it, and it waits: {place}", title(package));
                need(below, why);
            } else if let Some(why) = ties.may_hold {
                may_hold.insert(&below.id, (below, why));
            }
        }
        let types = ties(package)?.types;
        let neighbours = program
            .dependents(package)
            .chain(program.dependencies(package));
        for other in neighbours
            .filter(|other| through(other))
            .collect::<Vec<_>>()
        {
            let theirs = ties(other)?.types;
            let shared = theirs.iter().find(|(name, _)| types.contains_key(*name));
            if let Some((name, place)) = shared {
                let why = format!("it and {} both name {name}: {place}", title(package));
                need(other, why);
            }
        }
    }
    for (id, (package, why)) in may_hold {
        if !seen.contains(id) {
            result.left.push((package, why));
        }
    }
    Ok(result)
}
