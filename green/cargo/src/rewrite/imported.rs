//! What the imports of a file bring that matters here.

use std::collections::BTreeMap;

use super::uses::Import;
use super::walk::{Context, Visitor};
use crate::names::{End, Meaning, Shield, meaning};

/// Names of a file that stand for something of std, or of another crate we know: `use std::thread as t` makes `t` known.
#[derive(Default)]
pub(super) struct Imported {
    pub names: BTreeMap<String, Vec<String>>,
    /// Modules of which every name was imported.
    pub globs: Vec<Vec<String>>,
}

impl Visitor for Imported {
    fn import(&mut self, import: &Import, context: Context) {
        // What tests import means nothing outside of them.
        if context.dead {
            return;
        }
        for leaf in &import.leaves {
            let path: Vec<&str> = leaf
                .segments
                .iter()
                .map(|segment| segment.name.as_str())
                .collect();
            if meaning(&path, End::Name, Shield::default()) == Meaning::Other {
                continue;
            }
            let path = path.into_iter().map(str::to_owned).collect();
            match leaf.local_name() {
                Some(name) => drop(self.names.insert(name.to_owned(), path)),
                None => self.globs.push(path),
            }
        }
    }
}
