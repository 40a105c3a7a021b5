//! Walks the tokens of a file and tells a [`Visitor`] of the imports, paths and other things that matter here.
//!
//! Tokens and not a syntax tree: so what stands in the arguments and bodies of macros is seen as well, and syntax newer than
//! ours does no harm. Comments and the insides of strings are no tokens.

use std::ops::Range;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, LexError, TokenStream, TokenTree};

use super::cfg::Cfg;
use super::extent;
use super::trees::{
    Segment, is_block, is_dollar_crate, is_double_colon, is_group, is_ident, is_punct, line, place,
    segments,
};
use super::uses::{self, Import};

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
    /// Not compiled on this machine, or by tests alone.
    pub dead: bool,
    /// In what other crates see of an item: its signature, a public field.
    pub public: bool,
}

pub trait Visitor {
    fn import(&mut self, _import: &Import, _context: Context) {}
    fn path(&mut self, _path: &Path, _context: Context) {}
    fn method(&mut self, _name: &str, _line: usize, _context: Context) {}
    fn macro_definition(&mut self, _name: &str) {}
    fn extern_crate(&mut self, _name: &str, _alias: Option<&str>) {}
    /// `mod name;` or `mod name { … }`.
    fn module(&mut self, _name: &str, _inline: bool, _context: Context) {}
    /// A file by its path: `#[path = "…"]`, `include!("…")`.
    fn file(&mut self, _path: &str, _context: Context) {}
    /// `deny` or `forbid` in an attribute.
    fn strict_lint_level(&mut self, _place: Range<usize>) {}
    /// The `unsafe` of a block, a function or an implementation.
    fn unsafe_code(&mut self, _line: usize, _context: Context) {}
    /// `impl Trait for Type`, with the trait's last name and where it begins.
    fn implementation(&mut self, _of: &str, _at: usize) {}
    /// Where the first item begins, after the attributes of the file itself.
    fn first_item(&mut self, _at: usize) {}
}

/// The tokens of a text. Their places are those of the thread that read them.
pub struct Tokens {
    start: usize,
    end: usize,
    trees: Vec<TokenTree>,
}

impl Tokens {
    /// # Errors
    ///
    /// When the text is not made of Rust's tokens.
    pub fn of(text: &str) -> Result<Self> {
        let start = beginning(text);
        let stream: TokenStream = (text[start..].parse()).map_err(|error: LexError| {
            let place = error.span().start();
            anyhow!("line {}: not Rust: {error}", place.line)
        })?;
        let trees = stream.into_iter().collect();
        Ok(Tokens {
            start,
            end: text.len(),
            trees,
        })
    }

    /// Tells `visitor` what is there.
    pub fn walk(&self, cfg: &Cfg, visitor: &mut impl Visitor) {
        let mut walker = Walker {
            start: self.start,
            cfg,
            visitor,
        };
        walker.header(&self.trees, self.end);
        walker.trees(&self.trees, Context::default());
    }

    /// Forgets the places, which a thread keeps for ever otherwise.
    pub fn forget(self) {
        drop(self.trees);
        proc_macro2::extra::invalidate_current_thread_spans();
    }
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

/// What is known of an item while its words go by.
#[derive(Default)]
struct Item {
    public: bool,
    kind: Kind,
}

#[derive(Default, PartialEq)]
enum Kind {
    #[default]
    Other,
    Function,
    /// An `enum` or a `trait`: what is in it is seen as it is.
    Open,
    /// Its head names the types it is for.
    Implementation,
}

impl Item {
    fn see(&mut self, tree: &TokenTree, next: Option<&TokenTree>) {
        let TokenTree::Ident(word) = tree else {
            return;
        };
        match word.to_string().as_str() {
            "pub" => self.public = !next.is_some_and(|next| is_group(next, Delimiter::Parenthesis)),
            "fn" if self.kind == Kind::Other => self.kind = Kind::Function,
            "enum" | "trait" if self.kind == Kind::Other => self.kind = Kind::Open,
            "impl" if self.kind == Kind::Other => self.kind = Kind::Implementation,
            _ => {}
        }
    }

    fn is_public(&self) -> bool {
        self.public || self.kind == Kind::Implementation
    }

    fn shows_its_block(&self) -> bool {
        self.public && self.kind == Kind::Open
    }
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
    cfg: &'a Cfg,
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
        let mut item = Item::default();
        // The end of what is left out.
        let mut dead_until = 0;
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            if let Some((group, next)) = attribute(trees, at) {
                dead_until = dead_until.max(self.left_out(trees, at));
                context.dead = outer.dead || at < dead_until;
                self.attribute(group, context);
                exported |= mentions(group, "macro_export");
                at = next;
                continue;
            }
            context.dead = outer.dead || at < dead_until;
            item.see(tree, trees.get(at + 1));
            context.public = outer.public || item.is_public();
            if let TokenTree::Group(group) = tree {
                let inner: Vec<_> = group.stream().into_iter().collect();
                let public = if is_block(tree) {
                    item.shows_its_block()
                } else {
                    context.public
                };
                self.trees(&inner, Context { public, ..context });
            }
            let step = self.item(trees, at, context, exported);
            // An item ends with a semicolon or a block, a field with a comma.
            let last = &trees[at + step - 1];
            if is_punct(last, ';') || is_block(last) || is_punct(last, ',') {
                item = Item::default();
            }
            if !is_ident(tree, "pub") {
                exported = false;
            }
            at += step;
        }
    }

    /// Where that ends which the attributes from `at` on leave out; `at` if they leave nothing out.
    fn left_out(&self, trees: &[TokenTree], at: usize) -> usize {
        let (mut next, mut kept) = (at, true);
        while next < trees.len()
            && let Some((group, behind)) = attribute(trees, next)
        {
            let keeps = self.cfg.keeps(group);
            // `#![…]` is about all that is here.
            if !keeps && is_punct(&trees[next + 1], '!') {
                return trees.len();
            }
            kept &= keeps;
            next = behind;
        }
        if kept { at } else { extent::end(trees, next) }
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
                    "impl" => self.implementation(&trees[at..]),
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
            TokenTree::Group(_) | TokenTree::Literal(_) => 1,
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
        if path.called
            && path
                .segments
                .last()
                .is_some_and(|last| last.name == "include")
            && let Some(TokenTree::Group(arguments)) = trees.get(at + taken + 1)
        {
            self.file(&arguments.stream().into_iter().collect::<Vec<_>>(), context);
        }
        self.visitor.path(&path, context);
        taken
    }

    /// Its head and its block are walked by themselves.
    fn implementation(&mut self, trees: &[TokenTree]) -> Option<usize> {
        let head = trees.iter().take_while(|tree| !is_block(tree));
        let is_for = head.clone().position(|tree| is_ident(tree, "for"))?;
        if let Some(TokenTree::Ident(of)) = trees.get(is_for - 1) {
            let at = place(self.start, &trees[0]).start;
            self.visitor.implementation(&of.to_string(), at);
        }
        None
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

    /// The text of the literal that ends `trees`, if it is one that names a file.
    fn file(&mut self, trees: &[TokenTree], context: Context) {
        if let Some(TokenTree::Literal(text)) = trees.last() {
            self.visitor
                .file(text.to_string().trim_matches('"'), context);
        }
    }

    fn attribute(&mut self, group: &proc_macro2::Group, context: Context) {
        let trees: Vec<_> = group.stream().into_iter().collect();
        match trees.first() {
            // What a comment for documentation turns into has no place of its own.
            Some(word) if is_ident(word, "doc") => {}
            Some(word) if is_ident(word, "path") => self.file(&trees[1..], context),
            Some(word) if is_ident(word, "deny") || is_ident(word, "forbid") => {
                self.visitor.strict_lint_level(place(self.start, word));
            }
            Some(word) if is_ident(word, "cfg_attr") => {
                if let Some(TokenTree::Group(arguments)) = trees.get(1) {
                    self.attribute_of_cfg(arguments, context);
                    self.trees(&arguments.stream().into_iter().collect::<Vec<_>>(), context);
                }
            }
            _ => self.trees(&trees, context),
        }
    }

    fn attribute_of_cfg(&mut self, arguments: &proc_macro2::Group, context: Context) {
        let trees: Vec<_> = arguments.stream().into_iter().collect();
        let condition = trees
            .split(|tree| is_punct(tree, ','))
            .next()
            .unwrap_or_default();
        for part in trees.split(|tree| is_punct(tree, ',')).skip(1) {
            if part.first().is_some_and(|word| is_ident(word, "path")) && self.cfg.holds(condition)
            {
                self.file(part, context);
            }
        }
        for window in trees.windows(2) {
            let strict = is_ident(&window[0], "deny") || is_ident(&window[0], "forbid");
            if strict && is_group(&window[1], Delimiter::Parenthesis) {
                self.visitor
                    .strict_lint_level(place(self.start, &window[0]));
            }
        }
    }
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

fn mentions(group: &proc_macro2::Group, word: &str) -> bool {
    group.stream().into_iter().any(|tree| match &tree {
        TokenTree::Group(inner) => mentions(inner, word),
        tree => is_ident(tree, word),
    })
}
