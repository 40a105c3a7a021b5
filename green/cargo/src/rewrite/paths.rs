//! Paths outside of imports, and the macros of the prelude, which need no path.

use super::file::File;
use super::mention::{Found, Via};
use super::trees::Segment;
use super::walk::{Context, Path};
use crate::names::{End, MACROS, Meaning, Shield, feature, meaning};

impl File<'_> {
    pub(super) fn rewrite_path(&mut self, path: &Path, context: Context) {
        if let Some(root) = self.root(&path.segments) {
            return self.below_root(path, root, context);
        }
        let first = &path.segments[0].name;
        if path.segments.len() == 1 {
            let known =
                MACROS.contains(&first.as_str()) && !self.manner.facts.own_macros.contains(first);
            if path.called && !path.leading && known {
                let green = self.green(context);
                self.put(path.place.start..path.place.start, &format!("{green}::"));
            }
        }
        self.by_local_name(path, context);
    }

    /// `thread::sleep` after `use std::thread`: the import is what changes, but this is where it happens.
    fn by_local_name(&mut self, path: &Path, context: Context) {
        if path.leading {
            return;
        }
        let first = path.segments[0].name.as_str();
        let rest = path.segments[1..]
            .iter()
            .map(|segment| segment.name.as_str());
        let locals = self.locals;
        let named = locals.names.get(first);
        // A glob has it if it is one of the module's names.
        let globs = locals.globs.iter();
        let candidates: Vec<Vec<&str>> = match named {
            Some(full) => vec![full.iter().map(String::as_str).chain(rest).collect()],
            None => globs
                .map(|full| {
                    full.iter()
                        .map(String::as_str)
                        .chain([first])
                        .chain(rest.clone())
                        .collect()
                })
                .collect(),
        };
        let whole = |path: &[String]| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            matches!(
                meaning(&path, End::Name, Shield::default()),
                Meaning::Green { whole: true, .. }
            )
        };
        let via = if named.is_none_or(|path| whole(path)) {
            Via::Module
        } else {
            Via::Local
        };
        for full in candidates {
            match meaning(&full, End::Name, Shield::default()) {
                Meaning::Green {
                    kind, whole: false, ..
                } => {
                    let what = full.join("::");
                    return self.mention(path.line, what, Found::Std(kind), via, context);
                }
                other => self.note(&other, path.line, &full.join("::"), via, context),
            }
        }
    }

    fn below_root(&mut self, path: &Path, root: usize, context: Context) {
        let names = self.names(&path.segments[root..]);
        match meaning(&names, End::Name, self.manner.shield()) {
            Meaning::Green {
                replaced,
                green,
                kind,
                ..
            } => {
                let end = path.segments[root + replaced - 1].place.end;
                let what = names.join("::");
                self.features.extend(feature(&green));
                let prefix = self.green(context);
                self.put(path.place.start..end, &format!("{prefix}{green}"));
                self.mention(path.line, what, Found::Std(kind), Via::Path, context);
            }
            other => self.note(&other, path.line, &names.join("::"), Via::Path, context),
        }
    }

    pub(super) fn note(
        &mut self,
        meaning: &Meaning,
        line: usize,
        what: &str,
        via: Via,
        context: Context,
    ) {
        let found = match meaning {
            Meaning::Raw => Found::Raw,
            Meaning::Foreign => Found::Foreign,
            Meaning::FirstUse => Found::FirstUse,
            Meaning::Socket2 => Found::Socket2,
            Meaning::Green { .. } | Meaning::Other => return,
        };
        self.mention(line, what, found, via, context);
    }

    /// Where in a path std, or another crate that we know, stands: `std::…`, `::std::…`, `self::std::…`,
    /// `crate::lib::std::…`, `$crate::__std::…`.
    pub(super) fn root(&self, segments: &[Segment]) -> Option<usize> {
        let facts = self.manner.facts;
        let is_std =
            |segment: &Segment| segment.name == "std" || facts.aliases.contains(&segment.name);
        if is_std(&segments[0]) {
            return Some(0);
        }
        if let Some(root) = segments.iter().position(is_std) {
            let owned = facts.own_modules.contains("std");
            let names = self.names(&segments[root..]);
            let ours = matches!(
                meaning(&names, End::Name, Shield::default()),
                Meaning::Green { .. }
            );
            return (ours && !owned).then_some(root);
        }
        let names = self.names(segments);
        let known = meaning(&names, End::Name, Shield::default()) != Meaning::Other;
        (known && !facts.own_modules.contains(names[0])).then_some(0)
    }

    /// The segments by name, with `std` for whatever the crate calls it.
    pub(super) fn names<'s>(&self, segments: &'s [Segment]) -> Vec<&'s str> {
        let mut names: Vec<&str> = segments
            .iter()
            .map(|segment| segment.name.as_str())
            .collect();
        if self.manner.facts.aliases.contains(names[0]) {
            names[0] = "std";
        }
        names
    }
}
