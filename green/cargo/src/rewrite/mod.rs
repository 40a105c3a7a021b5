//! Swaps std's names for green's in one file, by places in its text: format, comments and line numbers stay.
//!
//! [`walk`] goes over the [`trees`] of tokens and finds what there is, [`facts`] what must be known of the crate as a whole, and
//! [`imported`] what the imports of the file bring. What becomes of an import is in [`imports`], of other paths and of macros
//! in [`paths`]; both write to the [`mod@file`] on its way.

mod cfg;
mod extent;
mod facts;
mod file;
mod imported;
mod imports;
mod mention;
mod paths;
mod trees;
mod uses;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::Result;

pub use cfg::Cfg;
pub use facts::{Declared, Facts};
use file::File;
pub use file::Manner;
use imported::Imported;
pub use mention::{Found, Mention, Via};
use walk::{Context, Tokens, Visitor};

use crate::edits::Edits;

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

/// Notes in `facts` and `declared` what stands in `text`.
pub fn note(text: &str, cfg: &Cfg, facts: &mut Facts, declared: &mut Declared) -> Result<()> {
    let tokens = Tokens::of(text)?;
    tokens.walk(cfg, facts);
    tokens.walk(cfg, declared);
    tokens.forget();
    Ok(())
}

/// Rewrites one file.
pub fn rewrite(text: &str, manner: Manner<'_>) -> Result<Rewritten> {
    let tokens = Tokens::of(text)?;
    let mut locals = Imported::default();
    tokens.walk(manner.cfg, &mut locals);
    let mut file = File {
        text,
        manner,
        locals: &locals,
        edits: Edits::default(),
        mentions: Vec::new(),
        exports: false,
        changed_names: false,
        features: BTreeSet::new(),
    };
    tokens.walk(manner.cfg, &mut file);
    tokens.forget();
    Ok(Rewritten {
        text: (!file.edits.is_empty()).then(|| file.edits.apply(text)),
        mentions: file.mentions,
        exports: file.exports,
        changed_names: file.changed_names,
        features: file.features,
    })
}

/// What is put at the beginning of a copy's root: its warnings are switched off, and green is declared if the edition
/// or the crate's macros need that.
pub fn head(text: &str, edition_2015: bool, exports: bool) -> Result<String> {
    struct FirstItem(usize);
    impl Visitor for FirstItem {
        fn first_item(&mut self, at: usize) {
            self.0 = at;
        }
    }
    const ALLOW: &str = "#![allow(warnings, future_incompatible)] ";
    let start = walk::beginning(text);
    if text[start..].trim_start().starts_with(ALLOW.trim_end()) {
        return Ok(text.to_owned());
    }
    let mut first = FirstItem(start);
    Tokens::of(text)?.walk(&Cfg::default(), &mut first);
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
            self.mention(
                line,
                format!(".{name}()"),
                Found::Method,
                Via::Local,
                context,
            );
        }
    }

    fn strict_lint_level(&mut self, place: Range<usize>) {
        self.edits.replace(place, "allow");
    }

    fn implementation(&mut self, of: &str, at: usize) {
        const LEFT_OUT: &str = "#[cfg(any())] ";
        // Green's handles have no pthread: what hands on to them would not compile.
        if of == "JoinHandleExt" && !self.text[..at].ends_with(LEFT_OUT) {
            self.edits.insert(at, LEFT_OUT);
        }
    }

    fn unsafe_code(&mut self, line: usize, context: Context) {
        self.mention(line, "unsafe", Found::Unsafe, Via::Local, context);
    }
}
