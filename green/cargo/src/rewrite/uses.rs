//! Imports: the tree behind a `use`, and its leaves.

use std::ops::Range;

use proc_macro2::{Delimiter, TokenTree};

use super::trees::{Segment, is_ident, is_punct, place, segments};

/// What a `use` names, from behind the word to before the semicolon.
#[derive(Debug)]
pub struct Import {
    pub place: Range<usize>,
    pub leaves: Vec<Leaf>,
    /// How many segments stand in front of the first group, and so in every leaf.
    pub common: usize,
}

/// One name that is imported.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub segments: Vec<Segment>,
    pub leading: bool,
    pub end: LeafEnd,
    /// What stands behind `as`.
    pub alias: Option<String>,
    pub line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafEnd {
    Name,
    /// `{self}`: the last segment, as a module.
    Itself,
    Glob,
}

impl Leaf {
    /// The name that the import brings.
    pub fn local_name(&self) -> Option<&str> {
        match (&self.alias, self.end) {
            (_, LeafEnd::Glob) => None,
            (Some(alias), _) => Some(alias),
            (None, _) => self.segments.last().map(|segment| segment.name.as_str()),
        }
    }

    /// The leaf as an import of its own.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 || self.leading {
                text.push_str("::");
            }
            text.push_str(&segment.name);
        }
        let alias = self
            .alias
            .as_ref()
            .map(|alias| format!(" as {alias}"))
            .unwrap_or_default();
        match self.end {
            LeafEnd::Name => text + &alias,
            LeafEnd::Itself => format!("{text}::{{self{alias}}}"),
            LeafEnd::Glob if self.segments.is_empty() => "*".into(),
            LeafEnd::Glob => text + "::*",
        }
    }
}

/// The import that `trees` are, or `None` if they are none that we know.
pub fn parse(start: usize, trees: &[TokenTree]) -> Option<Import> {
    let (first, last) = (trees.first()?, trees.last()?);
    let mut leaves = Vec::new();
    let stem = Leaf {
        segments: Vec::new(),
        leading: false,
        end: LeafEnd::Name,
        alias: None,
        line: first.span().start().line,
    };
    let taken = tree(start, trees, &stem, &mut leaves)?;
    let (common, ..) = segments(start, trees).unwrap_or_default();
    (taken == trees.len()).then_some(Import {
        place: place(start, first).start..place(start, last).end,
        leaves,
        common: common.len(),
    })
}

fn tree(start: usize, trees: &[TokenTree], stem: &Leaf, leaves: &mut Vec<Leaf>) -> Option<usize> {
    let mut leaf = stem.clone();
    leaf.line = trees.first()?.span().start().line;
    let mut at = 0;
    if let Some((segments, leading, taken)) = segments(start, trees) {
        leaf.leading |= leading && leaf.segments.is_empty();
        leaf.segments.extend(segments);
        at = taken;
    }
    // What stands between the segments and a group or a star.
    while trees.get(at).is_some_and(|tree| is_punct(tree, ':')) {
        leaf.leading |= leaf.segments.is_empty();
        at += 1;
    }
    match trees.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let inner: Vec<_> = group.stream().into_iter().collect();
            for part in inner
                .split(|tree| is_punct(tree, ','))
                .filter(|part| !part.is_empty())
            {
                if tree(start, part, &leaf, leaves)? != part.len() {
                    return None;
                }
            }
            return Some(at + 1);
        }
        Some(star) if is_punct(star, '*') => {
            leaf.end = LeafEnd::Glob;
            at += 1;
        }
        Some(word) if is_ident(word, "as") => {
            leaf.alias = Some(trees.get(at + 1)?.to_string());
            at += 2;
        }
        Some(_) => return None,
        None => {}
    }
    // `{self}` and `{self as name}`; a path that begins with `self` is longer.
    if leaf.end == LeafEnd::Name
        && leaf.segments.len() == stem.segments.len() + 1
        && !stem.segments.is_empty()
        && leaf.segments.last().is_some_and(|last| last.name == "self")
    {
        leaf.segments.pop();
        leaf.end = LeafEnd::Itself;
    }
    leaves.push(leaf);
    Some(at)
}
