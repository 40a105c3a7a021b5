//! One file on its way: what is known of it, and what it becomes.

use std::collections::BTreeSet;
use std::ops::Range;

use super::cfg::Cfg;
use super::facts::Facts;
use super::imported::Imported;
use super::mention::{Found, Mention, Via};
use super::walk::Context;
use crate::edits::Edits;
use crate::names::Shield;

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
    pub(super) fn shield(&self) -> Shield {
        Shield {
            locks: self.shielded,
            channels: self.shielded && !self.facts.selects,
        }
    }
}

/// One file on its way.
pub(super) struct File<'a> {
    pub(super) text: &'a str,
    pub(super) manner: Manner<'a>,
    pub(super) locals: &'a Imported,
    pub(super) edits: Edits,
    pub(super) mentions: Vec<Mention>,
    pub(super) exports: bool,
    pub(super) changed_names: bool,
    pub(super) features: BTreeSet<&'static str>,
}

impl File<'_> {
    pub(super) fn mention(
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
    pub(super) fn green(&mut self, context: Context) -> &'static str {
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
    pub(super) fn put(&mut self, place: Range<usize>, path: &str) {
        let space = if self.text[..place.start].ends_with(':') && path.starts_with(':') {
            " "
        } else {
            ""
        };
        self.edits.replace(place, format!("{space}{path}"));
    }
}
