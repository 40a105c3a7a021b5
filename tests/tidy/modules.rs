//! Which module of a crate uses which, read from the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, UseTree, Visibility};

/// `["hub", "turn"]`; the crate's root is empty.
type Name = Vec<String>;

/// The modules of a crate, one a file.
pub struct Modules {
    all: BTreeMap<Name, Module>,
}

#[derive(Default)]
struct Module {
    file: PathBuf,
    children: Vec<String>,
    /// What it gives out that is another's: its name here, and where it comes from.
    handed_on: BTreeMap<String, Name>,
    /// Every path in its code, from the root.
    named: BTreeSet<Name>,
}

impl Modules {
    /// Of the crate with this root file.
    pub fn read(root: &Path) -> Modules {
        let mut modules = Modules {
            all: BTreeMap::new(),
        };
        modules.add(Name::new(), root);
        modules
    }

    fn add(&mut self, name: Name, file: &Path) {
        let text = fs::read_to_string(file).unwrap();
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut reader = Reader {
            name: name.clone(),
            inner: 0,
            module: Module {
                file: file.to_owned(),
                ..Module::default()
            },
        };
        for item in &parsed.items {
            if let Item::Mod(child) = item
                && child.content.is_none()
            {
                reader.module.children.push(child.ident.to_string());
            }
        }
        reader.visit_file(&parsed);
        for child in &reader.module.children {
            let beside = match file.file_name().unwrap().to_str().unwrap() {
                "mod.rs" | "lib.rs" => file.with_file_name(child),
                _ => file.with_extension("").join(child),
            };
            let file = match beside.with_extension("rs") {
                flat if flat.exists() => flat,
                _ => beside.join("mod.rs"),
            };
            let path = [&name[..], std::slice::from_ref(child)].concat();
            // Tests may use what they like.
            if child != "tests" && child != "testing" {
                self.add(path, &file);
            }
        }
        self.all.insert(name, reader.module);
    }

    /// The module that has what the path names: where it is defined, not where it is handed on.
    fn owner(&self, path: &[String]) -> Option<Name> {
        let mut at = Name::new();
        for (depth, part) in path.iter().enumerate() {
            let module = &self.all[&at];
            if module.children.contains(part) {
                at.push(part.clone());
                if !self.all.contains_key(&at) {
                    return None;
                }
            } else if let Some(origin) = module.handed_on.get(part) {
                let rest = [&origin[..], &path[depth + 1..]].concat();
                return (origin != path).then(|| self.owner(&rest)).flatten();
            } else {
                return Some(at);
            }
        }
        Some(at)
    }

    /// Each module with those that it uses.
    pub fn uses(&self) -> BTreeMap<Name, BTreeSet<Name>> {
        let mut uses = BTreeMap::new();
        for (name, module) in &self.all {
            let mut used: BTreeSet<Name> = BTreeSet::new();
            used.extend(module.named.iter().filter_map(|path| self.owner(path)));
            used.remove(name);
            uses.insert(name.clone(), used);
        }
        uses
    }

    /// The modules directly in the root, in the order in which it lists them.
    pub fn layers(&self) -> &[String] {
        &self.all[&Name::new()].children
    }

    /// Groups of modules each of which, by way of others, uses itself.
    pub fn circles(&self) -> Vec<BTreeSet<String>> {
        let uses = self.uses();
        let reached: BTreeMap<&Name, BTreeSet<&Name>> = uses
            .keys()
            .map(|start| {
                let mut seen = BTreeSet::new();
                let mut next: Vec<&Name> = uses[start].iter().collect();
                while let Some(name) = next.pop() {
                    if seen.insert(name) {
                        next.extend(&uses[name]);
                    }
                }
                (start, seen)
            })
            .collect();
        let mut circles: Vec<BTreeSet<String>> = Vec::new();
        for (name, seen) in reached.iter().filter(|(name, seen)| seen.contains(**name)) {
            let circle = seen.iter().filter(|other| reached[*other].contains(*name));
            let circle: BTreeSet<String> = circle.map(|name| self.file(name)).collect();
            if !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles
    }

    /// A module's file, from the top of the repository.
    pub fn file(&self, name: &Name) -> String {
        let file = self.all[name].file.strip_prefix(super::top()).unwrap();
        file.display().to_string()
    }
}

/// Collects what a file names.
struct Reader {
    name: Name,
    /// Modules within the file around this place.
    inner: usize,
    module: Module,
}

impl Reader {
    /// A path from the root, if it names something of this crate.
    fn rooted(&self, parts: &[String]) -> Option<Name> {
        let mut here = self.name.clone();
        let mut inner = self.inner;
        let mut parts = parts;
        match parts.first()?.as_str() {
            "crate" => {
                here.clear();
                parts = &parts[1..];
            }
            "self" => parts = &parts[1..],
            "super" => {
                while parts.first().is_some_and(|part| part == "super") {
                    match inner {
                        0 => drop(here.pop()),
                        _ => inner -= 1,
                    }
                    parts = &parts[1..];
                }
            }
            child if self.module.children.iter().any(|known| known == child) => {}
            _ => return None,
        }
        here.extend(parts.iter().cloned());
        Some(here)
    }

    fn imports(&mut self, tree: &UseTree, before: &mut Vec<String>, handed_on: bool) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.imports(&path.tree, before, handed_on);
                before.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.imports(tree, before, handed_on);
                }
            }
            UseTree::Glob(_) => self.import(before, None),
            UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().cloned();
                self.import(before, last.filter(|_| handed_on));
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                let path = [&before[..], std::slice::from_ref(&name)].concat();
                self.import(&path, Some(name).filter(|_| handed_on));
            }
            UseTree::Rename(rename) => {
                let path = [&before[..], &[rename.ident.to_string()]].concat();
                self.import(&path, Some(rename.rename.to_string()).filter(|_| handed_on));
            }
        }
    }

    fn import(&mut self, path: &[String], handed_on: Option<String>) {
        let Some(path) = self.rooted(path) else {
            return;
        };
        match handed_on {
            Some(name) => drop(self.module.handed_on.insert(name, path)),
            None => drop(self.module.named.insert(path)),
        }
    }
}

impl Visit<'_> for Reader {
    fn visit_item(&mut self, item: &Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if attributes.iter().any(is_for_tests) {
            return;
        }
        let within = matches!(item, Item::Mod(item) if item.content.is_some());
        self.inner += usize::from(within);
        visit::visit_item(self, item);
        self.inner -= usize::from(within);
    }

    fn visit_item_use(&mut self, item: &ItemUse) {
        let handed_on = !matches!(item.vis, Visibility::Inherited) && self.inner == 0;
        self.imports(&item.tree, &mut Vec::new(), handed_on);
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if parts.len() > 1
            && path.leading_colon.is_none()
            && let Some(path) = self.rooted(&parts)
        {
            self.module.named.insert(path);
        }
        visit::visit_path(self, path);
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Ident>()
            .is_ok_and(|condition| condition == "test")
}
