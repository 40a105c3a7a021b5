//! Makes one copy: the files of a package, its Rust rewritten, its manifest pointed at green.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::semver::Version;
use cargo_metadata::{Dependency, DependencyKind, Edition, Package};

use crate::manifest::{self, GreenSource};
use crate::program::{folder, library, title};
use crate::rewrite::{self, Cfg, Manner};
use crate::survey::Survey;
use crate::unpatchable;

/// What a copy is made for.
#[derive(Debug)]
pub struct Order<'a> {
    pub package: &'a Package,
    /// Another name for the package.
    pub new_name: Option<&'a str>,
    /// Where it will lie when all is done.
    pub at: &'a Path,
    pub green: &'a GreenSource,
    /// The version of socket2 that the lock file gives it.
    pub socket2: Option<&'a Version>,
}

/// Files of the registry and of cargo that a copy has no use for.
const DROPPED: &[&str] = &["Cargo.lock", ".cargo-ok", ".cargo-checksum.json"];

/// Writes the copy into `into`, a folder that is not there yet; the features of green-std that it may ask for.
///
/// # Errors
/// Among others, if nothing in the crate changes: the copy would be of no use.
pub fn copy(order: &Order<'_>, survey: &Survey, into: &Path) -> Result<Vec<&'static str>> {
    let package = order.package;
    write(order, survey, into).with_context(|| format!("{} cannot be copied", title(package)))
}

fn write(order: &Order<'_>, survey: &Survey, into: &Path) -> Result<Vec<&'static str>> {
    let package = order.package;
    let from = folder(package);
    copy_folder(from, into)?;
    let library = library(package).context("it has no library")?;
    let root = library
        .src_path
        .as_std_path()
        .strip_prefix(from)
        .context("its library lies elsewhere")?;
    let edition_2015 = library.edition == Edition::E2015;
    let cfg = Cfg::default();
    let manner = Manner {
        facts: &survey.facts,
        cfg: &cfg,
        shielded: survey.facts.has_unsafe,
    };

    let mut exports = false;
    let mut features = BTreeSet::new();
    let mut changed = false;
    for file in &survey.files {
        if survey.unread.iter().any(|(unread, _)| unread == file) {
            continue;
        }
        let path = into.join(file);
        let text = fs::read_to_string(&path)?;
        let rewritten =
            rewrite::rewrite(&text, manner).with_context(|| file.display().to_string())?;
        exports |= rewritten.exports;
        features.extend(rewritten.features);
        changed |= rewritten.changed_names;
        if let Some(text) = rewritten.text {
            fs::write(&path, text)?;
        }
    }
    if !changed && let Some(why) = unpatchable::in_c(package) {
        bail!("{why}");
    }
    ensure!(
        changed,
        "it names nothing of std that green has: no copy is needed"
    );
    let root = into.join(root);
    let text = fs::read_to_string(&root)?;
    fs::write(&root, rewrite::head(&text, edition_2015, exports)?)?;

    let socket2 = with_socket2_0_5(package, order.socket2);
    if socket2.is_some_and(|socket2| !socket2.optional) {
        features.insert(SOCKET2_0_5);
    }
    let mut features: Vec<&'static str> = features.into_iter().collect();
    let path = into.join("Cargo.toml");
    let text = fs::read_to_string(&path)?;
    let mut manifest = manifest::of_copy(
        &text,
        package,
        order.new_name,
        order.at,
        order.green,
        &features,
    )?;
    if let Some(socket2) = socket2.filter(|socket2| socket2.optional) {
        let key = socket2.rename.as_ref().unwrap_or(&socket2.name);
        manifest::ask_along(&mut manifest, key, &format!("green/{SOCKET2_0_5}"))?;
        // Some feature of the program turns it on, perhaps one that is off: the lock file has what all of them need.
        if order.socket2.is_some() {
            features.push(SOCKET2_0_5);
        }
    }
    fs::write(path, manifest.to_string())?;
    Ok(features)
}

/// With this feature of green-std, its sockets turn into those of socket2 0.5 and back.
const SOCKET2_0_5: &str = "socket2-0-5";

/// The dependency of `package` on socket2, if that is 0.5: the `chosen` version, or what would be chosen.
fn with_socket2_0_5<'a>(package: &'a Package, chosen: Option<&Version>) -> Option<&'a Dependency> {
    let is_0_5 = |socket2: &Dependency| match chosen {
        Some(chosen) => (chosen.major, chosen.minor) == (0, 5),
        None => {
            let matches = |minor| socket2.req.matches(&Version::new(0, minor, 10));
            matches(5) && !matches(6)
        }
    };
    (package.dependencies.iter()).find(|dependency| {
        let is_used = dependency.kind == DependencyKind::Normal;
        dependency.name == "socket2" && is_used && is_0_5(dependency)
    })
}

/// Copies a folder; `into` must not be there yet.
pub fn copy_folder(from: &Path, into: &Path) -> Result<()> {
    fs::create_dir(into).with_context(|| into.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        let target = into.join(&name);
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if !DROPPED.iter().any(|dropped| name == *dropped) {
            // Not `fs::copy`: a vendored file may be read-only, its copy must not be.
            let bytes =
                fs::read(entry.path()).with_context(|| entry.path().display().to_string())?;
            fs::write(target, bytes)?;
        }
    }
    Ok(())
}
