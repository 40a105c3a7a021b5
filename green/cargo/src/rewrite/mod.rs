//! Swaps std's names for green's in one file, by places in its text: format, comments and line numbers stay.
//!
//! [`walk`] finds what there is, [`facts`] what must be known of the crate as a whole; what becomes of an import is in
//! [`imports`], of other paths and of macros in [`paths`].

mod cfg;
mod extent;
mod facts;
mod imports;
mod paths;
mod uses;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::Result;

pub use cfg::Cfg;
pub use facts::{Declared, Facts};
use walk::{Context, Tokens, Visitor};

use crate::edits::Edits;
use crate::names::{Kind, Shield};

/// How a crate is rewritten.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    pub facts: &'a Facts,
    /// What is compiled here. Everything is rewritten, but only what is compiled is reported.
    pub cfg: &'a Cfg,
    /// The crate has `unsafe` code, so kills and limits must not unwind through it.
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

/// A place in the source that matters for what the crate does to a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    pub line: usize,
    /// `std::thread::sleep`.
    pub what: String,
    pub found: Found,
    pub via: Via,
    /// Other crates see it.
    pub public: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    Import,
    /// A path that says it in full.
    Path,
    /// A name that an import brought.
    Local,
    /// A name in a module that an import brought.
    Module,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A name that green has.
    Std(Kind),
    /// A call of C that waits.
    Raw,
    /// Another crate's lock.
    Foreign,
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
    let mut locals = imports::Imported::default();
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

/// One file on its way.
struct File<'a> {
    text: &'a str,
    manner: Manner<'a>,
    locals: &'a imports::Imported,
    edits: Edits,
    mentions: Vec<Mention>,
    exports: bool,
    changed_names: bool,
    features: BTreeSet<&'static str>,
}

impl File<'_> {
    fn mention(
        &mut self,
        line: usize,
        what: impl Into<String>,
        found: Found,
        via: Via,
        context: Context,
    ) {
        if !context.dead {
            let (what, public) = (what.into(), context.public);
            self.mentions.push(Mention {
                line,
                what,
                found,
                via,
                public,
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
