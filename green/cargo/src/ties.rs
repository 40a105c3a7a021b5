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
    /// What it locks by, if it does not wait.
    #[serde(skip)]
    pub locks: Option<String>,
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
        match kind {
            // Who waits there waits for an initialiser, as at a lock.
            Kind::Wait if FIRST_USE.contains(&package.name.as_str()) => ties.locks = Some(place),
            Kind::Wait => ties.waits = Some(place),
            Kind::Lock => ties.locks = Some(place),
            Kind::Plain | Kind::Disk => {}
        }
        ties
    }
}
