//! The program that cargo is called in: its packages, as its lock file has them, and who depends on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cargo_metadata::semver::Version;
use cargo_metadata::{DependencyKind, Metadata, Package, PackageId, TargetKind};

use crate::allowed::allowed;
use crate::asking::{Asking, Features, rustc};
use crate::rewrite::Cfg;

/// The package that copies depend on.
pub const GREEN: &str = "green-std";

/// The package whose hooks stand before the C library's functions.
pub const MONKEY: &str = "green-monkey";

/// Packages that are green itself.
pub const OURS: &[&str] = &[GREEN, "greenhub", MONKEY];

type Edges = BTreeMap<PackageId, Vec<PackageId>>;

#[derive(Debug)]
pub struct Program {
    /// The folder of the workspace's manifest and lock file.
    pub root: PathBuf,
    /// What the chosen features need on this machine.
    packages: BTreeMap<PackageId, Package>,
    /// What the lock file has.
    locked: Vec<Package>,
    members: BTreeSet<PackageId>,
    /// Of these, who depends on whom at run time.
    edges: Edges,
    /// The same for what the lock file has.
    locked_edges: Edges,
    /// What green-std depends on, itself with it, on any platform and with any feature: cargo's resolver looks at neither.
    below_green: BTreeSet<PackageId>,
    features: BTreeMap<PackageId, Vec<String>>,
    /// What manifests allow under `metadata.green`.
    allowed: BTreeSet<String>,
    /// What `rustc --print cfg` says.
    cfg: Cfg,
}

impl Program {
    /// The program as its lock file has it.
    ///
    /// # Errors
    ///
    /// Without a lock file, or if it does not fit the manifests.
    pub fn load(asking: &Asking) -> Result<Self> {
        let root = asking.root()?;
        let lock = root.join("Cargo.lock");
        ensure!(
            lock.is_file(),
            "no lock file {}: `cargo generate-lockfile` makes one",
            lock.display()
        );
        Self::ask(asking, true)
    }

    /// The program after its manifests were changed: the lock file follows.
    pub fn relock(asking: &Asking) -> Result<Self> {
        Self::ask(asking, false)
    }

    fn ask(asking: &Asking, locked: bool) -> Result<Self> {
        // The lock file has what any feature needs, on any platform.
        let all = asking.metadata(&Features::all(), false, locked)?;
        let here = asking.metadata(&asking.features, true, locked)?;
        let locked_edges = edges(&all);
        let below_green = (all.packages.iter().filter(|package| *package.name == GREEN))
            .flat_map(|green| reach(&locked_edges, &green.id, |_| true))
            .collect();
        let nodes = here.resolve.iter().flat_map(|resolve| &resolve.nodes);
        let features = nodes
            .map(|node| {
                (
                    node.id.clone(),
                    node.features.iter().map(|name| name.to_string()).collect(),
                )
            })
            .collect();
        // Where the lock file follows, names that it no longer has are no reason to stop.
        let allowed = if locked {
            allowed(&here, &all.packages)?
        } else {
            BTreeSet::new()
        };
        Ok(Program {
            allowed,
            features,
            cfg: Cfg(rustc(&["--print", "cfg"])?
                .lines()
                .map(str::to_owned)
                .collect()),
            root: here.workspace_root.clone().into(),
            edges: edges(&here),
            members: here.workspace_members.iter().cloned().collect(),
            packages: here
                .packages
                .into_iter()
                .map(|package| (package.id.clone(), package))
                .collect(),
            below_green,
            locked_edges,
            locked: all.packages,
        })
    }

    /// Packages that `allow` lists in a table `metadata.green` of a member or of the workspace.
    pub fn allowed(&self) -> BTreeSet<String> {
        self.allowed.clone()
    }

    /// The features of `package` that are on.
    pub fn features(&self, package: &Package) -> &[String] {
        self.features.get(&package.id).map_or(&[], Vec::as_slice)
    }

    /// What is set when `package` is compiled for this machine.
    pub fn cfg(&self, package: &Package) -> Cfg {
        let mut cfg = self.cfg.clone();
        let features = self.features(package).iter();
        cfg.0
            .extend(features.map(|feature| format!("feature=\"{feature}\"")));
        cfg
    }

    /// What the chosen features need on this machine.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.values()
    }

    /// Every package of the lock file, whatever features and platform it is for.
    pub fn locked(&self) -> &[Package] {
        &self.locked
    }

    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().map(|id| &self.packages[id])
    }

    pub fn is_member(&self, package: &Package) -> bool {
        self.members.contains(&package.id)
    }

    /// Green-std depends on it, or is it.
    pub fn is_below_green(&self, package: &Package) -> bool {
        self.below_green.contains(&package.id)
    }

    /// What `package` depends on at run time.
    pub fn dependencies(&self, package: &Package) -> impl Iterator<Item = &Package> {
        let edges = self.edges.get(&package.id).into_iter().flatten();
        edges.map(|id| &self.packages[id])
    }

    /// The version of `name` that the lock file gives `package` at run time, whatever features that takes.
    pub fn version(&self, package: &Package, name: &str) -> Option<&Version> {
        let below = self.locked_edges.get(&package.id)?;
        let chosen = self.locked.iter().filter(|other| *other.name == *name);
        chosen
            .filter(|other| below.contains(&other.id))
            .map(|other| &other.version)
            .next()
    }

    /// Who depends on `package` at run time.
    pub fn dependents(&self, package: &Package) -> impl Iterator<Item = &Package> {
        let users = self
            .edges
            .iter()
            .filter(|(_, edges)| edges.contains(&package.id));
        users.map(|(id, _)| &self.packages[id])
    }

    /// All that `package` depends on, directly or not, without `package` itself and without what is reached only
    /// through packages that `through` refuses.
    pub fn closure<'a>(
        &'a self,
        package: &Package,
        through: impl Fn(&Package) -> bool,
    ) -> Vec<&'a Package> {
        let ids = reach(&self.edges, &package.id, |id| through(&self.packages[id]));
        (ids.iter().filter(|id| **id != package.id))
            .map(|id| &self.packages[id])
            .collect()
    }

    /// Whether `green-monkey` is linked.
    pub fn is_hooked(&self) -> bool {
        self.members().any(|member| {
            let below = self.closure(member, |_| true);
            below.iter().any(|package| *package.name == *MONKEY)
        })
    }

    /// The package of green-std.
    ///
    /// # Errors
    ///
    /// If the program does not depend on it.
    pub fn green(&self) -> Result<&Package> {
        let mut green = (self.locked.iter()).filter(|package| *package.name == GREEN);
        let first = green.next().with_context(|| {
            format!("the program does not depend on {GREEN}, which copies need: `cargo add {GREEN}` first")
        })?;
        ensure!(
            green.next().is_none(),
            "the program has several versions of {GREEN}"
        );
        Ok(first)
    }
}

/// The library's target, unless it is one for the compiler.
pub fn library(package: &Package) -> Option<&cargo_metadata::Target> {
    let of_kind = |kinds: &[TargetKind]| {
        (package.targets.iter()).find(|target| target.kind.iter().any(|kind| kinds.contains(kind)))
    };
    of_kind(&[
        TargetKind::Lib,
        TargetKind::RLib,
        TargetKind::DyLib,
        TargetKind::CDyLib,
        TargetKind::StaticLib,
    ])
}

pub fn is_proc_macro(package: &Package) -> bool {
    package
        .targets
        .iter()
        .any(|target| target.is_kind(TargetKind::ProcMacro))
}

/// The folder of the package.
pub fn folder(package: &Package) -> &Path {
    package
        .manifest_path
        .parent()
        .expect("a manifest lies in a folder")
        .as_std_path()
}

/// `name version`.
pub fn title(package: &Package) -> String {
    format!("{} {}", package.name, package.version)
}

fn edges(metadata: &Metadata) -> Edges {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    nodes
        .map(|node| {
            let normal = node.deps.iter().filter(|dependency| {
                (dependency.dep_kinds.iter()).any(|kind| kind.kind == DependencyKind::Normal)
            });
            let edges = normal.map(|dependency| dependency.pkg.clone());
            (node.id.clone(), edges.collect())
        })
        .collect()
}

/// The members, and what they depend on at run time, directly or not.
pub fn below_members(metadata: &Metadata) -> BTreeSet<PackageId> {
    let edges = edges(metadata);
    let members = metadata.workspace_members.iter();
    members
        .flat_map(|member| reach(&edges, member, |_| true))
        .collect()
}

fn reach(
    edges: &Edges,
    from: &PackageId,
    through: impl Fn(&PackageId) -> bool,
) -> BTreeSet<PackageId> {
    let mut seen = BTreeSet::from([from.clone()]);
    let mut todo = vec![from.clone()];
    while let Some(id) = todo.pop() {
        for next in edges.get(&id).into_iter().flatten() {
            if through(next) && seen.insert(next.clone()) {
                todo.push(next.clone());
            }
        }
    }
    seen
}
