//! Swaps std's names for green's in one file, by places in its text: format, comments and line numbers stay.
//!
//! [`walk`] finds what there is, [`facts`] what must be known of the crate as a whole; what becomes of an import is in
//! [`imports`], of other paths and of macros in [`paths`].

mod facts;
mod imports;
mod paths;
mod uses;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::Result;

pub use facts::Facts;
use walk::{Context, Visitor};

use crate::edits::Edits;
use crate::names::{Kind, Shield};

/// How a crate is rewritten.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    pub facts: &'a Facts,
    /// The crate has `unsafe` code, which no kill and no limit may unwind.
    pub shielded: bool,
}

impl Manner<'_> {
    /// A channel that is selected on has no shielded twin; all of them are of one family then.
    fn shield(&self) -> Shield {
        Shield {
            locks: self.shielded,
            channels: self.shielded && !self.facts.selects,
        }
    }
}

/// A place that matters to who asks what a crate does to a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    pub line: usize,
    /// `std::thread::sleep`.
    pub what: String,
    pub found: Found,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A name that green has.
    Std(Kind),
    /// A call of C that waits.
    Raw,
    /// `once_cell` or `lazy_static`.
    FirstUse,
    Socket2,
    /// A method of that name is called.
    Method,
    Unsafe,
    /// The same module is meant in a way that is not rewritten.
    NotRewritten,
}

#[derive(Debug)]
pub struct Rewritten {
    /// `None` if nothing changes.
    pub text: Option<String>,
    pub mentions: Vec<Mention>,
    /// `$crate::__green` is used: the root of the crate must have it.
    pub exports: bool,
    /// A name of green's was put in.
    pub changed_names: bool,
    /// Features of green-std that those names need.
    pub features: BTreeSet<&'static str>,
}

/// Notes in `facts` what stands in `text`.
pub fn note(text: &str, facts: &mut Facts) -> Result<()> {
    walk::walk(text, facts)
}

/// Rewrites one file.
pub fn rewrite(text: &str, manner: Manner<'_>) -> Result<Rewritten> {
    let mut modules = imports::Modules::default();
    walk::walk(text, &mut modules)?;
    let mut file = File {
        text,
        manner,
        modules: modules.0,
        edits: Edits::default(),
        mentions: Vec::new(),
        exports: false,
        changed_names: false,
        features: BTreeSet::new(),
    };
    walk::walk(text, &mut file)?;
    Ok(Rewritten {
        text: (!file.edits.is_empty()).then(|| file.edits.apply(text)),
        mentions: file.mentions,
        exports: file.exports,
        changed_names: file.changed_names,
        features: file.features,
    })
}

/// What the root of a copy has in front: its warnings are nobody's business, and green is declared where the edition or
/// the crate's macros need it.
pub fn head(text: &str, edition_2015: bool, exports: bool) -> Result<String> {
    struct FirstItem(usize);
    impl Visitor for FirstItem {
        fn first_item(&mut self, at: usize) {
            self.0 = at;
        }
    }
    const ALLOW: &str = "#![allow(warnings)] ";
    let start = walk::beginning(text);
    if text[start..].trim_start().starts_with(ALLOW.trim_end()) {
        return Ok(text.to_owned());
    }
    let mut first = FirstItem(start);
    walk::walk(text, &mut first)?;
    let mut declarations = String::new();
    if edition_2015 {
        declarations.push_str("extern crate green; ");
    }
    if exports {
        declarations.push_str("#[doc(hidden)] pub extern crate green as __green; ");
    }
    let mut edits = Edits::default();
    edits.insert(start, ALLOW);
    edits.insert(first.0, declarations);
    Ok(edits.apply(text))
}

/// One file on its way.
struct File<'a> {
    text: &'a str,
    manner: Manner<'a>,
    /// Modules of std by the name they have in this file.
    modules: BTreeMap<String, Vec<String>>,
    edits: Edits,
    mentions: Vec<Mention>,
    exports: bool,
    changed_names: bool,
    features: BTreeSet<&'static str>,
}

impl File<'_> {
    fn mention(&mut self, line: usize, what: impl Into<String>, found: Found, context: Context) {
        if !context.test {
            self.mentions.push(Mention {
                line,
                what: what.into(),
                found,
            });
        }
    }

    /// `green` as it is written here.
    fn green(&mut self, context: Context) -> &'static str {
        self.changed_names = true;
        if context.exported {
            // In a macro that others call, a path begins where they are.
            self.exports = true;
            "$crate::__green"
        } else {
            "::green"
        }
    }

    /// Puts `path`, which begins with `::`, in a place where a colon may stand before.
    fn put(&mut self, place: Range<usize>, path: &str) {
        let space = if self.text[..place.start].ends_with(':') && path.starts_with(':') {
            " "
        } else {
            ""
        };
        self.edits.replace(place, format!("{space}{path}"));
    }
}

impl Visitor for File<'_> {
    fn import(&mut self, import: &uses::Import, context: Context) {
        self.rewrite_import(import, context);
    }

    fn path(&mut self, path: &walk::Path, context: Context) {
        self.rewrite_path(path, context);
    }

    fn method(&mut self, name: &str, line: usize, context: Context) {
        if matches!(
            name,
            "to_socket_addrs" | "connect" | "connect_timeout" | "sleep_ms"
        ) {
            self.mention(line, format!(".{name}()"), Found::Method, context);
        }
    }

    fn strict_lint_level(&mut self, place: Range<usize>) {
        self.edits.replace(place, "allow");
    }

    fn unsafe_code(&mut self, line: usize, context: Context) {
        self.mention(line, "unsafe", Found::Unsafe, context);
    }
}
