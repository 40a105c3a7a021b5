//! What a choice of features leaves out of the program.

use std::collections::BTreeSet;

use anyhow::Result;
use cargo_metadata::{Metadata, Package};

use crate::asking::{Asking, Features};
use crate::program::{Program, below_members, title};

/// Features of the program that are off, as `--features` takes them.
pub fn off(program: &Program) -> Vec<String> {
    let several = program.members().count() > 1;
    let mut off = Vec::new();
    for member in program.members() {
        let on = program.features(member);
        for feature in member.features.keys().filter(|name| !on.contains(name)) {
            off.push(if several {
                format!("{}/{feature}", member.name)
            } else {
                feature.clone()
            });
        }
    }
    off
}

/// Packages that the program would need at run time if all of its features were on, and does not need now.
pub fn left_out(program: &Program, asking: &Asking) -> Result<Vec<String>> {
    let wide = asking.metadata(&Features::all(), true, true)?;
    let needed = below_members(&wide);
    let packages = (wide.packages.iter())
        .filter(|package| needed.contains(&package.id) && !program.is_below_green(package));
    let out = packages.filter(|package| program.packages().all(|other| other.id != package.id));
    Ok(out.map(title).collect())
}

/// Why these packages of the lock file are not in the program, and the way to have them there.
pub fn why_out(program: &Program, asking: &Asking, packages: &[&Package]) -> Result<String> {
    let ids: BTreeSet<_> = packages.iter().map(|package| &package.id).collect();
    let brings =
        |metadata: &Metadata| (metadata.packages.iter()).any(|package| ids.contains(&package.id));
    if !brings(&asking.metadata(&Features::all(), true, true)?) {
        return Ok("nothing on this machine needs it: it is for another platform".to_owned());
    }
    let mut ways = Vec::new();
    for feature in off(program) {
        if brings(&asking.metadata(&asking.features.with(&feature), true, true)?) {
            ways.push(format!("`--features {feature}`"));
        }
    }
    // It may take several features at once.
    ways.push("`--all-features`".to_owned());
    Ok(format!(
        "the chosen features of the program do not need it: pass {}",
        ways.join(" or ")
    ))
}
