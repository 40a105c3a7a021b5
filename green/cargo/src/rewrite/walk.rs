//! Walks the tokens of a file and tells a [`Visitor`] of the imports, paths and other things that matter here.
//!
//! Tokens and not a syntax tree: so what stands in the arguments and bodies of macros is seen as well, and syntax newer than
//! ours does no harm. Comments and the insides of strings are no tokens.

use std::ops::Range;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

use super::uses::{self, Import};

/// A segment of a path: its name, `$crate` among them, and where it stands.
#[derive(Clone, Debug)]
pub struct Segment {
    pub name: String,
    pub place: Range<usize>,
}

/// `a::b::c` where it stands outside of an import.
#[derive(Debug)]
pub struct Path {
    pub segments: Vec<Segment>,
    /// With the `::` in front, if there is one.
    pub place: Range<usize>,
    /// It begins with `::`.
    pub leading: bool,
    /// An exclamation mark follows: a macro is called.
    pub called: bool,
    pub line: usize,
}

/// Where in the file the walker is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// In the body of a macro that other crates can call.
    pub exported: bool,
    /// In an item of `cfg(test)`.
    pub test: bool,
}

pub trait Visitor {
    fn import(&mut self, _import: &Import, _context: Context) {}
    fn path(&mut self, _path: &Path, _context: Context) {}
    fn method(&mut self, _name: &str, _line: usize, _context: Context) {}
    fn macro_definition(&mut self, _name: &str) {}
    fn extern_crate(&mut self, _name: &str, _alias: Option<&str>) {}
    /// `mod name;` or `mod name { … }`.
    fn module(&mut self, _name: &str, _inline: bool, _context: Context) {}
    /// `deny` or `forbid` in an attribute.
    fn strict_lint_level(&mut self, _place: Range<usize>) {}
    /// The `unsafe` of a block, a function or an implementation.
    fn unsafe_code(&mut self, _line: usize, _context: Context) {}
    /// Where the first item begins, after the attributes of the file itself.
    fn first_item(&mut self, _at: usize) {}
}

/// Tells `visitor` what is in `text`.
///
/// # Errors
///
/// When the text is not made of Rust's tokens.
pub fn walk(text: &str, visitor: &mut impl Visitor) -> Result<()> {
    let start = beginning(text);
    let stream: TokenStream = text[start..]
        .parse()
        .map_err(|error: proc_macro2::LexError| {
            let place = error.span().start();
            anyhow!("line {}: not Rust: {error}", place.line)
        })?;
    let trees: Vec<_> = stream.into_iter().collect();
    let mut walker = Walker { start, visitor };
    walker.header(&trees, text.len());
    walker.trees(&trees, Context::default());
    // Places are kept by thread for as long as the process lives otherwise.
    proc_macro2::extra::invalidate_current_thread_spans();
    Ok(())
}

/// Where the tokens begin: after a byte order mark and a line `#!…`.
pub fn beginning(text: &str) -> usize {
    let mark = text.len() - text.trim_start_matches('\u{feff}').len();
    let rest = &text[mark..];
    if rest.starts_with("#!") && !rest[2..].trim_start().starts_with('[') {
        return mark + rest.find('\n').unwrap_or(rest.len());
    }
    mark
}

/// Words that no path begins with.
const KEYWORDS: &[&str] = &[
    "as", "async", "await", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
    "extern", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub",
    "ref", "return", "static", "struct", "trait", "type", "unsafe", "use", "where", "while",
    "yield",
];

struct Walker<'a, V> {
    start: usize,
    visitor: &'a mut V,
}

impl<V: Visitor> Walker<'_, V> {
    fn header(&mut self, trees: &[TokenTree], end: usize) {
        let mut rest = trees;
        while let [hash, bang, TokenTree::Group(_), tail @ ..] = rest
            && is_punct(hash, '#')
            && is_punct(bang, '!')
        {
            rest = tail;
        }
        let at = rest
            .first()
            .map_or(end, |first| place(self.start, first).start);
        self.visitor.first_item(at);
    }

    fn trees(&mut self, trees: &[TokenTree], outer: Context) {
        let mut context = outer;
        // `macro_export` stands among the attributes of the item that comes.
        let mut exported = false;
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            if let Some((group, next)) = attribute(trees, at) {
                self.attribute(group, context);
                exported |= mentions(group, "macro_export");
                context.test |= is_cfg_test(group);
                at = next;
                continue;
            }
            let step = self.item(trees, at, context, exported);
            // An item ends with a semicolon or a block.
            let last = &trees[at + step - 1];
            if is_punct(last, ';') || is_block(last) {
                context.test = outer.test;
            }
            if !is_ident(tree, "pub") {
                exported = false;
            }
            at += step;
        }
    }

    /// Handles what begins at `at`; the number of trees it took.
    fn item(&mut self, trees: &[TokenTree], at: usize, context: Context, exported: bool) -> usize {
        match &trees[at] {
            TokenTree::Ident(word) => {
                let word = word.to_string();
                let taken = match word.as_str() {
                    "macro_rules" => self.macro_rules(&trees[at..], context, exported),
                    "extern" => self.extern_crate(&trees[at..]),
                    "use" => self.import(&trees[at..], context),
                    "mod" => self.module(&trees[at..], context),
                    _ => None,
                };
                if word == "unsafe" && !trees.get(at + 1).is_some_and(|next| is_punct(next, '(')) {
                    self.visitor.unsafe_code(line(&trees[at]), context);
                }
                match taken {
                    Some(taken) => taken,
                    // `dyn ::std::…`: the path begins behind it.
                    None if KEYWORDS.contains(&word.as_str()) => 1,
                    None => self.path(trees, at, context),
                }
            }
            TokenTree::Punct(_) => self.punct(trees, at, context),
            TokenTree::Group(group) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                self.trees(&inner, context);
                1
            }
            TokenTree::Literal(_) => 1,
        }
    }

    fn punct(&mut self, trees: &[TokenTree], at: usize, context: Context) -> usize {
        if is_double_colon(&trees[at..]) || is_dollar_crate(&trees[at..]) {
            return self.path(trees, at, context);
        }
        match (&trees[at], trees.get(at + 1)) {
            // `$name` is a variable of a macro.
            (TokenTree::Punct(punct), Some(TokenTree::Ident(_))) if punct.as_char() == '$' => 2,
            // `.name` is a field or a method; `..name` ends a range.
            (TokenTree::Punct(punct), Some(TokenTree::Ident(name)))
                if punct.as_char() == '.' && !(at > 0 && is_punct(&trees[at - 1], '.')) =>
            {
                let mut next = at + 2;
                if trees
                    .get(next)
                    .is_some_and(|tree| is_group(tree, Delimiter::Parenthesis))
                    || is_double_colon(trees.get(next..).unwrap_or_default())
                {
                    self.visitor
                        .method(&name.to_string(), line(&trees[at + 1]), context);
                }
                // The type arguments of `.parse::<u8>()` are walked by themselves.
                if is_double_colon(trees.get(next..).unwrap_or_default()) {
                    next += 2;
                }
                next - at
            }
            _ => 1,
        }
    }

    fn path(&mut self, trees: &[TokenTree], at: usize, context: Context) -> usize {
        let Some((segments, leading, taken)) = segments(self.start, &trees[at..]) else {
            return 1;
        };
        let end = segments.last().expect("a path has a segment").place.end;
        let path = Path {
            place: place(self.start, &trees[at]).start..end,
            leading,
            called: trees.get(at + taken).is_some_and(|next| {
                is_punct(next, '!')
                    && matches!(
                        trees.get(at + taken + 1),
                        Some(TokenTree::Group(_) | TokenTree::Ident(_))
                    )
            }),
            line: line(&trees[at]),
            segments,
        };
        self.visitor.path(&path, context);
        taken
    }

    fn macro_rules(
        &mut self,
        trees: &[TokenTree],
        context: Context,
        exported: bool,
    ) -> Option<usize> {
        let [_, bang, TokenTree::Ident(name), TokenTree::Group(arms), ..] = trees else {
            return None;
        };
        if !is_punct(bang, '!') {
            return None;
        }
        self.visitor.macro_definition(&name.to_string());
        let inner = Context {
            exported: context.exported || exported,
            ..context
        };
        let arms: Vec<_> = arms.stream().into_iter().collect();
        // Each arm is `pattern => body`: only bodies come to stand in a program.
        for window in arms.windows(3) {
            if let [equals, greater, TokenTree::Group(body)] = window
                && is_punct(equals, '=')
                && is_punct(greater, '>')
            {
                let body: Vec<_> = body.stream().into_iter().collect();
                self.trees(&body, inner);
            }
        }
        Some(4)
    }

    fn extern_crate(&mut self, trees: &[TokenTree]) -> Option<usize> {
        let [_, krate, TokenTree::Ident(name), rest @ ..] = trees else {
            return None;
        };
        if !is_ident(krate, "crate") {
            return None;
        }
        let alias = match rest {
            [word, TokenTree::Ident(alias), ..] if is_ident(word, "as") => Some(alias.to_string()),
            _ => None,
        };
        self.visitor
            .extern_crate(&name.to_string(), alias.as_deref());
        Some(if alias.is_some() { 5 } else { 3 })
    }

    fn import(&mut self, trees: &[TokenTree], context: Context) -> Option<usize> {
        let end = trees.iter().position(|tree| is_punct(tree, ';'))?;
        let import = uses::parse(self.start, &trees[1..end])?;
        self.visitor.import(&import, context);
        Some(end + 1)
    }

    fn module(&mut self, trees: &[TokenTree], context: Context) -> Option<usize> {
        let [_, TokenTree::Ident(name), next, ..] = trees else {
            return None;
        };
        if !is_punct(next, ';') && !is_block(next) {
            return None;
        }
        self.visitor
            .module(&name.to_string(), is_block(next), context);
        Some(2)
    }

    fn attribute(&mut self, group: &proc_macro2::Group, context: Context) {
        let trees: Vec<_> = group.stream().into_iter().collect();
        match trees.first() {
            // What a comment for documentation turns into has no place of its own.
            Some(word) if is_ident(word, "doc") => {}
            Some(word) if is_ident(word, "deny") || is_ident(word, "forbid") => {
                self.visitor.strict_lint_level(place(self.start, word));
            }
            Some(word) if is_ident(word, "cfg_attr") => {
                if let Some(TokenTree::Group(arguments)) = trees.get(1) {
                    self.attribute_of_cfg(arguments);
                    self.trees(&arguments.stream().into_iter().collect::<Vec<_>>(), context);
                }
            }
            _ => self.trees(&trees, context),
        }
    }

    fn attribute_of_cfg(&mut self, arguments: &proc_macro2::Group) {
        let trees: Vec<_> = arguments.stream().into_iter().collect();
        for window in trees.windows(2) {
            let strict = is_ident(&window[0], "deny") || is_ident(&window[0], "forbid");
            if strict && is_group(&window[1], Delimiter::Parenthesis) {
                self.visitor
                    .strict_lint_level(place(self.start, &window[0]));
            }
        }
    }
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

fn attribute(trees: &[TokenTree], at: usize) -> Option<(&proc_macro2::Group, usize)> {
    if !is_punct(&trees[at], '#') {
        return None;
    }
    match trees.get(at + 1..)? {
        [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Bracket => {
            Some((group, at + 2))
        }
        [bang, TokenTree::Group(group), ..]
            if is_punct(bang, '!') && group.delimiter() == Delimiter::Bracket =>
        {
            Some((group, at + 3))
        }
        _ => None,
    }
}

/// `cfg(test)` or `cfg(all(test, …))`, and not `cfg(not(test))`.
fn is_cfg_test(attribute: &proc_macro2::Group) -> bool {
    let trees: Vec<_> = attribute.stream().into_iter().collect();
    let [cfg, TokenTree::Group(condition)] = trees.as_slice() else {
        return false;
    };
    let condition: Vec<_> = condition.stream().into_iter().collect();
    is_ident(cfg, "cfg")
        && match condition.as_slice() {
            [word] => is_ident(word, "test"),
            [all, TokenTree::Group(parts)] if is_ident(all, "all") => parts
                .stream()
                .into_iter()
                .any(|part| is_ident(&part, "test")),
            _ => false,
        }
}

fn mentions(group: &proc_macro2::Group, word: &str) -> bool {
    group.stream().into_iter().any(|tree| match &tree {
        TokenTree::Group(inner) => mentions(inner, word),
        tree => is_ident(tree, word),
    })
}

pub fn place(start: usize, tree: &TokenTree) -> Range<usize> {
    let range = tree.span().byte_range();
    range.start + start..range.end + start
}

fn line(tree: &TokenTree) -> usize {
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

fn is_dollar_crate(trees: &[TokenTree]) -> bool {
    matches!(trees, [dollar, word, ..] if is_punct(dollar, '$') && is_ident(word, "crate"))
}

fn is_group(tree: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == delimiter)
}

fn is_block(tree: &TokenTree) -> bool {
    is_group(tree, Delimiter::Brace)
}
