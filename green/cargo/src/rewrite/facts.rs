//! What must be known of a whole crate before any of its files can be rewritten.

use std::collections::BTreeSet;

use super::trees::Segment;
use super::uses::{Import, LeafEnd};
use super::walk::{Context, Path, Visitor};
use crate::names::{MACROS, selects};

#[derive(Debug, Default)]
pub struct Facts {
    /// Other names for std: `extern crate std as alias`, `use std as alias`.
    pub aliases: BTreeSet<String>,
    /// Macros of the prelude that the crate defines itself.
    pub own_macros: BTreeSet<String>,
    /// Modules that the crate itself has and that are called like a crate we know.
    pub own_modules: BTreeSet<String>,
    /// It selects among channels of crossbeam's.
    pub selects: bool,
    /// `unsafe` stands somewhere.
    pub has_unsafe: bool,
}

/// Names that stand for something else if the crate has a module of that name.
const CRATES: &[&str] = &["std", "crossbeam_channel", "crossbeam", "parking_lot"];

impl Facts {
    /// Adds those of a file; one that is not compiled here adds no `unsafe`.
    pub fn merge(&mut self, file: &Facts, live: bool) {
        self.aliases.extend(file.aliases.iter().cloned());
        self.own_macros.extend(file.own_macros.iter().cloned());
        self.own_modules.extend(file.own_modules.iter().cloned());
        self.selects |= file.selects;
        self.has_unsafe |= file.has_unsafe && live;
    }

    fn note_path(&mut self, segments: &[Segment]) {
        if segments.len() > 1 {
            let path: Vec<&str> = segments
                .iter()
                .map(|segment| segment.name.as_str())
                .collect();
            self.selects |= selects(&path);
        }
    }
}

impl Visitor for Facts {
    fn import(&mut self, import: &Import, _context: Context) {
        for leaf in &import.leaves {
            self.note_path(&leaf.segments);
            let (Some(local), Some(last)) = (leaf.local_name(), leaf.segments.last()) else {
                continue;
            };
            let whole_std = last.name == "std" && leaf.end != LeafEnd::Glob;
            if whole_std && local != "std" && local != "_" {
                self.aliases.insert(local.to_owned());
            }
            if MACROS.contains(&local) && leaf.segments[0].name != "std" {
                self.own_macros.insert(local.to_owned());
            }
        }
    }

    fn path(&mut self, path: &Path, _context: Context) {
        self.note_path(&path.segments);
    }

    fn macro_definition(&mut self, name: &str) {
        if MACROS.contains(&name) {
            self.own_macros.insert(name.to_owned());
        }
    }

    fn extern_crate(&mut self, name: &str, alias: Option<&str>) {
        if let ("std", Some(alias)) = (name, alias)
            && alias != "_"
        {
            self.aliases.insert(alias.to_owned());
        }
    }

    fn module(&mut self, name: &str, _inline: bool, _context: Context) {
        if CRATES.contains(&name) {
            self.own_modules.insert(name.to_owned());
        }
    }

    fn unsafe_code(&mut self, _line: usize, context: Context) {
        self.has_unsafe |= !context.dead;
    }
}

/// The files that a file says belong to it.
#[derive(Debug, Default)]
pub struct Declared {
    /// `mod name;`
    pub modules: BTreeSet<String>,
    /// The ends of paths.
    pub files: BTreeSet<String>,
}

impl Visitor for Declared {
    fn module(&mut self, name: &str, inline: bool, context: Context) {
        if !inline && !context.dead {
            self.modules.insert(name.to_owned());
        }
    }

    fn file(&mut self, path: &str, context: Context) {
        if !context.dead {
            self.files.insert(path.trim_start_matches("./").to_owned());
        }
    }
}
