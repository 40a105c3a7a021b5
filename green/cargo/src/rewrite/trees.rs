//! Trees of tokens: what one is, where it stands, and the path that some begin with.

use std::ops::Range;

use proc_macro2::{Delimiter, Spacing, TokenTree};

/// A segment of a path: its name, `$crate` among them, and where it stands.
#[derive(Clone, Debug)]
pub struct Segment {
    pub name: String,
    pub place: Range<usize>,
}

/// The segments of the path that `trees` begin with, whether `::` leads, and how many trees that took.
pub fn segments(start: usize, trees: &[TokenTree]) -> Option<(Vec<Segment>, bool, usize)> {
    let leading = is_double_colon(trees);
    let mut at = if leading { 2 } else { 0 };
    let mut segments = Vec::new();
    loop {
        let rest = trees.get(at..).unwrap_or_default();
        if is_dollar_crate(rest) && segments.is_empty() && !leading {
            let place = place(start, &rest[0]).start..place(start, &rest[1]).end;
            segments.push(Segment {
                name: "$crate".into(),
                place,
            });
            at += 2;
        } else if let Some(TokenTree::Ident(name)) = rest.first() {
            segments.push(Segment {
                name: name.to_string(),
                place: place(start, &rest[0]),
            });
            at += 1;
        } else {
            break;
        }
        let rest = trees.get(at..).unwrap_or_default();
        if !is_double_colon(rest) || !matches!(rest.get(2), Some(TokenTree::Ident(_))) {
            break;
        }
        at += 2;
    }
    (!segments.is_empty()).then_some((segments, leading, at))
}

pub fn place(start: usize, tree: &TokenTree) -> Range<usize> {
    let range = tree.span().byte_range();
    range.start + start..range.end + start
}

pub fn line(tree: &TokenTree) -> usize {
    tree.span().start().line
}

pub fn is_punct(tree: &TokenTree, mark: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == mark)
}

pub fn is_ident(tree: &TokenTree, word: &str) -> bool {
    matches!(tree, TokenTree::Ident(ident) if ident == word)
}

pub fn is_double_colon(trees: &[TokenTree]) -> bool {
    matches!(trees, [TokenTree::Punct(first), second, ..]
        if first.as_char() == ':' && first.spacing() == Spacing::Joint && is_punct(second, ':'))
}

pub fn is_dollar_crate(trees: &[TokenTree]) -> bool {
    matches!(trees, [dollar, word, ..] if is_punct(dollar, '$') && is_ident(word, "crate"))
}

pub fn is_group(tree: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == delimiter)
}

pub fn is_block(tree: &TokenTree) -> bool {
    is_group(tree, Delimiter::Brace)
}
