//! How far that reaches which an attribute stands at: an item, a statement, a field, a variant, an arm of a `match`.

use proc_macro2::{Delimiter, TokenTree};

use super::trees::{is_block, is_double_colon, is_group, is_ident, is_punct};

/// Where what begins at `start`, behind its attributes, has ended.
pub fn end(trees: &[TokenTree], start: usize) -> usize {
    let mut first = start;
    if trees.get(first).is_some_and(|tree| is_ident(tree, "pub")) {
        first += 1;
        let restricted = |tree| is_group(tree, Delimiter::Parenthesis);
        first += usize::from(trees.get(first).is_some_and(restricted));
    }
    let is_end: fn(&TokenTree) -> bool = match ending(&trees[first.min(trees.len())..]) {
        Ending::Semicolon => |tree| is_punct(tree, ';'),
        Ending::Block => |tree| is_punct(tree, ';') || is_block(tree),
        Ending::Part => return end_of_part(trees, first),
    };
    let last = trees.iter().skip(first).position(is_end);
    last.map_or(trees.len(), |last| first + last + 1)
}

enum Ending {
    /// It may have blocks before that.
    Semicolon,
    /// Or a semicolon, if it has no block.
    Block,
    /// A comma, perhaps: it is no item.
    Part,
}

fn ending(trees: &[TokenTree]) -> Ending {
    let [TokenTree::Ident(word), rest @ ..] = trees else {
        return Ending::Part;
    };
    let next = rest.first();
    let named = matches!(next, Some(TokenTree::Ident(_)));
    match word.to_string().as_str() {
        "let" | "static" | "type" | "use" => Ending::Semicolon,
        "const" if next.is_some_and(is_block) => Ending::Block,
        "const" => {
            let function = ["fn", "unsafe", "extern", "async"];
            if next.is_some_and(|next| function.iter().any(|word| is_ident(next, word))) {
                Ending::Block
            } else {
                Ending::Semicolon
            }
        }
        "fn" | "mod" | "impl" | "trait" | "enum" | "struct" | "unsafe" | "async" | "extern" => {
            Ending::Block
        }
        // Words that may be names as well.
        "union" | "auto" | "default" | "safe" if named => Ending::Block,
        "macro_rules" => Ending::Block,
        _ => Ending::Part,
    }
}

fn end_of_part(trees: &[TokenTree], first: usize) -> usize {
    let colon = trees.get(first + 1..).unwrap_or_default();
    let is_typed =
        colon.first().is_some_and(|colon| is_punct(colon, ':')) && !is_double_colon(colon);
    // Commas between the arguments of a type end nothing.
    let mut depth = 0;
    for (at, tree) in trees.iter().enumerate().skip(first) {
        let arrow = at > 0 && (is_punct(&trees[at - 1], '-') || is_punct(&trees[at - 1], '='));
        if is_typed && is_punct(tree, '<') {
            depth += 1;
        } else if is_typed && is_punct(tree, '>') && !arrow {
            depth -= 1;
        }
        let ends = is_punct(tree, ';')
            || is_punct(tree, ',') && depth <= 0
            || is_block(tree) && (at == first || !goes_on(&trees[at + 1..]));
        if ends {
            return at + 1;
        }
    }
    trees.len()
}

/// Whether what has just had a block is not over.
fn goes_on(rest: &[TokenTree]) -> bool {
    let Some(next) = rest.first() else {
        return false;
    };
    // A guard has an arrow behind it, another statement has none.
    let to_arrow = rest.iter().take_while(|tree| !is_block(tree));
    let guard = is_ident(next, "if")
        && to_arrow
            .clone()
            .zip(to_arrow.skip(1))
            .any(|(equals, greater)| is_punct(equals, '=') && is_punct(greater, '>'));
    let marks = ['.', '?', ',', '=', '|'];
    guard || is_ident(next, "else") || marks.iter().any(|mark| is_punct(next, *mark))
}
