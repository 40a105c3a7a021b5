//! What ties a crate to others, so that they have to be copied together.

use std::collections::BTreeMap;

use cargo_metadata::Package;
use serde::{Deserialize, Serialize};

use crate::names::{FIRST_USE, Kind};
use crate::survey::Survey;

/// Places are written `file:line`. A copy's are kept, since its own text no longer tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ties {
    /// What it waits by, and where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// If it does not wait: what else it may hold a hub by, and when whoever knows it asks for it too.
    #[serde(skip)]
    pub may_hold: Option<String>,
    /// Types that wait and that it exchanges with others, and where.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, String>,
}

impl Ties {
    pub fn of(package: &Package, survey: &Survey) -> Ties {
        let mut ties = Ties::default();
        for (name, file, line) in survey.types() {
            let place = || format!("{}:{line}", file.display());
            ties.types.entry(name.to_owned()).or_insert_with(place);
        }
        let Some((kind, file, mention)) = survey.worst() else {
            return ties;
        };
        let place = format!("{} at {}:{}", mention.what, file.display(), mention.line);
        let locks = || format!("it locks, {place}; ask for it too if something waits meanwhile");
        match kind {
            // Who waits there waits for an initialiser, as at a lock.
            Kind::Wait if FIRST_USE.contains(&package.name.as_str()) => {
                ties.may_hold = Some(locks());
            }
            Kind::Wait => ties.waits = Some(place),
            // Harmless as long as nothing waits while it is held.
            Kind::Lock => ties.may_hold = Some(locks()),
            Kind::Disk => {
                let what = format!(
                    "it may wait for the disk, {place}; ask for it too if it does so often"
                );
                ties.may_hold = Some(what);
            }
            Kind::Plain => {}
        }
        ties
    }
}
