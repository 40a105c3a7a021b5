//! What the manifests of a program allow, under `metadata.green`.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use cargo_metadata::{Metadata, Package};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Green {
    /// Names of packages that the user has looked at.
    #[serde(default)]
    allow: BTreeSet<String>,
}

/// The packages that the workspace or a member allows.
///
/// # Errors
///
/// If what stands there is not understood, or names a package that is not `locked`.
pub fn allowed(metadata: &Metadata, locked: &[Package]) -> Result<BTreeSet<String>> {
    let members = metadata.workspace_packages();
    let members = members.into_iter().map(|member| {
        let place = format!("{}: package.metadata.green", member.manifest_path);
        (place, &member.metadata)
    });
    let root = metadata.workspace_root.join("Cargo.toml");
    let place = format!("{root}: workspace.metadata.green");
    let (mut allowed, mut wrong) = (BTreeSet::new(), Vec::new());
    for (place, metadata) in members.chain([(place, &metadata.workspace_metadata)]) {
        let Some(green) = metadata.get("green") else {
            continue;
        };
        match Green::deserialize(green) {
            Ok(green) => {
                for name in green.allow {
                    if locked.iter().all(|package| *package.name != *name) {
                        let similar = similar_name(locked, &name);
                        wrong.push(format!(
                            "{place}.allow: {name} is not in the lock file{similar}"
                        ));
                    }
                    allowed.insert(name);
                }
            }
            Err(error) => wrong.push(format!(
                "{place} is to be `allow`, a list of names of crates: {error}"
            )),
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(allowed)
}

/// What may have been meant by a name that the lock file does not have, in words.
pub fn similar_name(locked: &[Package], name: &str) -> String {
    let ratio = |other: &str| similar::TextDiff::from_chars(name, other).ratio();
    let near = (locked.iter())
        .map(|package| package.name.as_str())
        .max_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let close = near.filter(|near| ratio(near) > 0.7);
    close.map(|near| format!("; {near} is")).unwrap_or_default()
}
