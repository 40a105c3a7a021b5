//! Conditional compilation: whether an item is compiled on this machine at all.

use std::collections::BTreeSet;

use proc_macro2::{Group, TokenTree};

use super::trees::{is_ident, is_punct, segments};

/// What is set, as `unix` or `target_os="linux"`.
#[derive(Clone, Debug, Default)]
pub struct Cfg(pub BTreeSet<String>);

impl Cfg {
    /// Whether the attribute leaves its item in. One that is no `cfg` does, unless it makes the item a test or a benchmark:
    /// `#[test]`, `#[bench]`, `#[tokio::test(…)]`.
    pub fn keeps(&self, attribute: &Group) -> bool {
        let trees: Vec<_> = attribute.stream().into_iter().collect();
        if let Some((path, _, taken)) = segments(0, &trees)
            && let [] | [TokenTree::Group(_)] = &trees[taken..]
            && let Some(last) = path.last()
            && (last.name == "test" || last.name == "bench")
        {
            return false;
        }
        match trees.as_slice() {
            [cfg, TokenTree::Group(condition)] if is_ident(cfg, "cfg") => {
                let condition: Vec<_> = condition.stream().into_iter().collect();
                self.holds(&condition)
            }
            _ => true,
        }
    }

    pub fn holds(&self, condition: &[TokenTree]) -> bool {
        match condition {
            [TokenTree::Ident(word), TokenTree::Group(parts)] => {
                let parts: Vec<_> = parts.stream().into_iter().collect();
                let mut parts = parts
                    .split(|tree| is_punct(tree, ','))
                    .filter(|part| !part.is_empty());
                match word.to_string().as_str() {
                    "all" => parts.all(|part| self.holds(part)),
                    "any" => parts.any(|part| self.holds(part)),
                    "not" => !parts.any(|part| self.holds(part)),
                    _ => true,
                }
            }
            [key, _, text] => self.0.contains(&format!("{key}={text}")),
            [TokenTree::Ident(flag)] if flag == "true" => true,
            [flag] => self.0.contains(&flag.to_string()),
            // Not understood: it may well be compiled.
            _ => true,
        }
    }
}
