//! Which module of a crate uses which, read from the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, Macro, UseTree, VisRestricted, Visibility};

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
    /// The same of another crate's: its names here.
    passed_on: BTreeSet<String>,
    /// Every path in its code, from the root.
    named: BTreeSet<Name>,
    /// Every path to something of another crate.
    foreign: BTreeSet<Name>,
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
            bound: BTreeMap::new(),
            paths: BTreeSet::new(),
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
        reader.follow();
        for child in &reader.module.children {
            let beside = match file.file_name().unwrap().to_str().unwrap() {
                "mod.rs" | "lib.rs" | "main.rs" => file.with_file_name(child),
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
            } else if module.passed_on.contains(part) {
                return None;
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
        let circles = circles(&self.uses());
        let files = |circle: BTreeSet<Name>| circle.iter().map(|name| self.file(name)).collect();
        circles.into_iter().map(files).collect()
    }

    /// The same for what stands side by side in one module: each with all that is below it.
    pub fn circles_of_siblings(&self) -> Vec<BTreeSet<String>> {
        let uses = self.uses();
        let mut found = Vec::new();
        for around in self.all.keys() {
            let sibling = |name: &Name| {
                let below = name.starts_with(around) && name.len() > around.len();
                below.then(|| name[..=around.len()].to_vec())
            };
            let mut between: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
            for (user, used) in &uses {
                let Some(user) = sibling(user) else { continue };
                let used = used.iter().filter_map(sibling);
                let used = used.filter(|used| *used != user);
                between.entry(user.clone()).or_default().extend(used);
            }
            for circle in circles(&between) {
                found.push(circle.iter().map(|name| name.join("::")).collect());
            }
        }
        found
    }

    /// The files that name something of another crate, each with the name that `meant` finds in a path.
    pub fn naming(&self, meant: impl Fn(&[&str]) -> Option<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (name, module) in &self.all {
            for path in &module.foreign {
                let path: Vec<_> = path.iter().map(String::as_str).collect();
                found.extend(meant(&path).map(|meant| format!("{}: {meant}", self.file(name))));
            }
        }
        found
    }

    /// A module's file, from the top of the repository.
    pub fn file(&self, name: &Name) -> String {
        let file = self.all[name].file.strip_prefix(super::top()).unwrap();
        file.display().to_string()
    }
}

/// Groups each of which, by way of others, uses itself.
fn circles(uses: &BTreeMap<Name, BTreeSet<Name>>) -> Vec<BTreeSet<Name>> {
    let reached: BTreeMap<&Name, BTreeSet<&Name>> = uses
        .keys()
        .map(|start| {
            let mut seen = BTreeSet::new();
            let mut next: Vec<&Name> = uses[start].iter().collect();
            while let Some(name) = next.pop() {
                if seen.insert(name) {
                    next.extend(uses.get(name).into_iter().flatten());
                }
            }
            (start, seen)
        })
        .collect();
    let mut circles: Vec<BTreeSet<Name>> = Vec::new();
    for (name, seen) in reached.iter().filter(|(name, seen)| seen.contains(**name)) {
        let circle = seen.iter().filter(|other| {
            let theirs = reached.get(**other);
            theirs.is_some_and(|theirs| theirs.contains(*name))
        });
        let circle: BTreeSet<Name> = circle.map(|name| (*name).clone()).collect();
        if !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

/// Collects what a file names.
struct Reader {
    name: Name,
    /// Modules within the file around this place.
    inner: usize,
    module: Module,
    /// Names that the file may say for something imported, and the path of that.
    bound: BTreeMap<String, Name>,
    /// Paths in its code that begin with a name.
    paths: BTreeSet<Name>,
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
            UseTree::Glob(_) => self.import(before, None, handed_on),
            UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().cloned();
                self.import(before, last, handed_on);
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                let path = [&before[..], std::slice::from_ref(&name)].concat();
                self.import(&path, Some(name), handed_on);
            }
            UseTree::Rename(rename) => {
                let path = [&before[..], &[rename.ident.to_string()]].concat();
                self.import(&path, Some(rename.rename.to_string()), handed_on);
            }
        }
    }

    /// A path in the code.
    fn path(&mut self, parts: Vec<String>) {
        match self.rooted(&parts) {
            Some(path) if parts.len() > 1 => drop(self.module.named.insert(path)),
            _ => {
                self.module.foreign.insert(parts.clone());
                self.paths.insert(parts);
            }
        }
    }

    /// Looks up the paths that begin with an imported name, once all of these are known.
    fn follow(&mut self) {
        for path in &self.paths {
            if let Some(first) = self.bound.get(&path[0]) {
                let path = [&first[..], &path[1..]].concat();
                self.module.named.insert(path);
            }
        }
    }

    fn import(&mut self, path: &[String], name: Option<String>, handed_on: bool) {
        let Some(path) = self.rooted(path) else {
            self.module.foreign.insert(path.to_vec());
            self.module.passed_on.extend(name.filter(|_| handed_on));
            return;
        };
        if let Some(name) = &name {
            self.bound.insert(name.clone(), path.clone());
        }
        match name {
            Some(name) if handed_on => drop(self.module.handed_on.insert(name, path)),
            _ => drop(self.module.named.insert(path)),
        }
    }
}

impl Visit<'_> for Reader {
    fn visit_item(&mut self, item: &Item) {
        let attributes = match item {
            Item::Const(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Macro(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Trait(item) => &item.attrs,
            Item::Type(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
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

    /// Who may use something is no use of it.
    fn visit_vis_restricted(&mut self, _: &VisRestricted) {}

    fn visit_path(&mut self, path: &syn::Path) {
        if path.leading_colon.is_none() {
            self.path(path.segments.iter().map(|s| s.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &Macro) {
        for path in paths(&called.tokens.to_string()) {
            self.path(path);
        }
        visit::visit_macro(self, called);
    }
}

/// The paths in the text of a macro's arguments.
fn paths(text: &str) -> Vec<Vec<String>> {
    // What stands in quotes is no code.
    let code = text.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let code = code.replace("::", " :: ");
    let apart = |c: char| !c.is_alphanumeric() && c != '_' && c != ':';
    let mut paths = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut joined = false;
    for word in code.split(apart).filter(|word| !word.is_empty()) {
        match word {
            "::" => joined = true,
            _ if joined => {
                path.push(word.to_owned());
                joined = false;
            }
            _ => paths.push(std::mem::replace(&mut path, vec![word.to_owned()])),
        }
    }
    paths.push(path);
    paths.retain(|path| !path.is_empty());
    paths
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Ident>()
            .is_ok_and(|condition| condition == "test")
}
