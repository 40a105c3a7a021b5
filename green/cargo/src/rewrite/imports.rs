//! What becomes of a `use`: each leaf stays std's or becomes green's.

use super::file::File;
use super::mention::{Found, Via};
use super::uses::{Import, Leaf, LeafEnd};
use super::walk::Context;
use crate::names::{End, Meaning, feature, meaning};

/// A leaf that goes to green: the first `replaced` segments become `path`.
struct Move {
    replaced: usize,
    path: String,
}

impl File<'_> {
    pub(super) fn rewrite_import(&mut self, import: &Import, context: Context) {
        let moves: Vec<Option<Move>> = import
            .leaves
            .iter()
            .map(|leaf| self.move_of(leaf, context))
            .collect();
        let Some(Some(first)) = moves.iter().find(|leaf| leaf.is_some()) else {
            return;
        };
        // All go the same way, and what changes stands before the first group: nothing else is touched.
        let together = moves.iter().all(|other| {
            (other.as_ref())
                .is_some_and(|other| other.replaced == first.replaced && other.path == first.path)
        });
        let renames = import
            .leaves
            .iter()
            .any(|leaf| leaf.segments.len() == first.replaced);
        if together && first.replaced <= import.common && !renames {
            let end = import.leaves[0].segments[first.replaced - 1].place.end;
            return self.put(import.place.start..end, &first.path.clone());
        }
        let leaves: Vec<String> = import
            .leaves
            .iter()
            .zip(&moves)
            .map(|(leaf, home)| {
                home.as_ref()
                    .map_or_else(|| leaf.text(), |home| home.text(leaf))
            })
            .collect();
        let original = &self.text[import.place.clone()];
        let text = match leaves.as_slice() {
            [leaf] => leaf.clone(),
            // What comes behind keeps its line.
            leaves => format!(
                "{{{}{}}}",
                leaves.join(", "),
                "\n".repeat(original.matches('\n').count())
            ),
        };
        self.edits.replace(import.place.clone(), text);
    }

    fn move_of(&mut self, leaf: &Leaf, context: Context) -> Option<Move> {
        if leaf.segments.is_empty() {
            return None;
        }
        let end = if leaf.end == LeafEnd::Glob {
            End::Glob
        } else {
            End::Name
        };
        let root = self.root(&leaf.segments)?;
        let names = self.names(&leaf.segments[root..]);
        let what = names.join("::");
        if names == ["std"] && end == End::Glob {
            self.mention(
                leaf.line,
                "std::*",
                Found::NotRewritten,
                Via::Import,
                context,
            );
            return None;
        }
        match meaning(&names, end, self.manner.shield()) {
            Meaning::Green {
                replaced,
                green,
                kind,
                whole,
            } => {
                let what = if end == End::Glob { what + "::*" } else { what };
                if !whole || end == End::Glob {
                    self.mention(leaf.line, what, Found::Std(kind), Via::Import, context);
                }
                self.features.extend(feature(&green));
                let path = format!("{}{green}", self.green(context));
                Some(Move {
                    replaced: root + replaced,
                    path,
                })
            }
            other => {
                self.note(&other, leaf.line, &what, Via::Import, context);
                None
            }
        }
    }
}

impl Move {
    fn text(&self, leaf: &Leaf) -> String {
        let mut moved = Leaf {
            segments: leaf.segments[self.replaced..].to_vec(),
            leading: false,
            // A module is imported by its own path.
            end: if leaf.end == LeafEnd::Itself {
                LeafEnd::Name
            } else {
                leaf.end
            },
            ..leaf.clone()
        };
        // The whole of a crate keeps the name that the file knows it by.
        let last = self.path.rsplit("::").next();
        if moved.segments.is_empty() && leaf.end != LeafEnd::Glob && leaf.local_name() != last {
            moved.alias = leaf.local_name().map(str::to_owned);
        }
        let rest = moved.text();
        match rest.strip_prefix(" as ") {
            Some(alias) => format!("{} as {alias}", self.path),
            None if rest.is_empty() => self.path.clone(),
            None => format!("{}::{rest}", self.path),
        }
    }
}
