//! The examples of green's docs: which pages and items have one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Expr, Item, Lit, Meta, UseTree, Visibility};

/// Faces of what others document: std, parking_lot, and std once more. Each item is the one of that name there.
const FACES: &[&str] = &[
    "fs",
    "io",
    "net",
    "os",
    "parking_lot",
    "process",
    "shielded",
    "sync",
    "thread",
    "time",
];

/// A list of pages, each with its examples.
const ELSEWHERE: &[&str] = &["guide"];

/// A module, and what stands in it.
struct Page {
    items: &'static [Item],
    is_public: bool,
    has_example: bool,
    /// The folder of the modules below it.
    below: PathBuf,
}

impl Page {
    fn read(file: &Path) -> Page {
        let text = fs::read_to_string(file).unwrap();
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let below = match file.file_name().unwrap().to_str().unwrap() {
            "mod.rs" | "lib.rs" => file.parent().unwrap().to_owned(),
            _ => file.with_extension(""),
        };
        Page {
            // A test's process ends soon.
            items: parsed.items.leak(),
            is_public: true,
            has_example: has_example(&parsed.attrs),
            below,
        }
    }

    /// The module of this name within.
    fn child(&self, name: &str) -> Option<Page> {
        let module = self.items.iter().find_map(|item| match item {
            Item::Mod(module) if module.ident == name => Some(module),
            _ => None,
        })?;
        let below = self.below.join(name);
        let mut page = match &module.content {
            Some((_, items)) => Page {
                items,
                is_public: true,
                has_example: false,
                below,
            },
            None => match below.with_extension("rs") {
                flat if flat.exists() => Page::read(&flat),
                _ => Page::read(&below.join("mod.rs")),
            },
        };
        page.is_public = is_public(&module.vis);
        page.has_example |= has_example(&module.attrs);
        Some(page)
    }
}

/// What a program can name, each with whether its docs have an example.
#[derive(Default)]
struct Public(BTreeMap<String, bool>);

impl Public {
    /// All of a module that has this public path.
    fn module(&mut self, path: &str, page: &Page) {
        for item in page.items {
            match item {
                Item::Use(import) if is_public(&import.vis) => {
                    self.import(path, page, &mut Vec::new(), &import.tree);
                }
                item => {
                    if let Some((name, visibility, _)) = named(item)
                        && is_public(visibility)
                    {
                        self.item(&join(path, &name), page, &name);
                    }
                }
            }
        }
    }

    /// The public item or module of this name within a page.
    fn item(&mut self, path: &str, page: &Page, name: &str) {
        for (found, visibility, attributes) in page.items.iter().filter_map(named) {
            if found != name || !is_public(visibility) || is_hidden(attributes) {
                continue;
            }
            match page.child(name) {
                Some(child) if child.is_public => {
                    self.0.insert(path.to_owned(), child.has_example);
                    self.module(path, &child);
                }
                _ => {
                    self.0.insert(path.to_owned(), has_example(attributes));
                }
            }
        }
    }

    /// What a `pub use` gives out, where it comes from a module within.
    fn import(&mut self, path: &str, page: &Page, way: &mut Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(step) => {
                way.push(step.ident.to_string());
                self.import(path, page, way, &step.tree);
                way.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(path, page, way, tree);
                }
            }
            UseTree::Name(name) => self.given_out(path, page, way, &name.ident.to_string()),
            // Another's, under another name, or all of std's module.
            UseTree::Rename(_) | UseTree::Glob(_) => {}
        }
    }

    fn given_out(&mut self, path: &str, page: &Page, way: &[String], name: &str) {
        let mut way: Vec<&str> = way.iter().map(String::as_str).collect();
        way.retain(|step| *step != "self");
        let name = match name {
            "self" => way.pop().unwrap(),
            name => name,
        };
        let mut steps = way.iter();
        let Some(first) = steps.next() else { return };
        let Some(mut at) = page.child(first) else {
            return;
        };
        for step in steps {
            match at.child(step) {
                Some(child) => at = child,
                None => return,
            }
        }
        self.item(&join(path, name), &at, name);
        // It may be given out by that module in its turn.
        for item in at.items {
            if let Item::Use(import) = item
                && !matches!(import.vis, Visibility::Inherited)
            {
                let mut all = Public::default();
                all.import(path, &at, &mut Vec::new(), &import.tree);
                let given = join(path, name);
                let within = format!("{given}::");
                all.0
                    .retain(|path, _| *path == given || path.starts_with(&within));
                self.0.extend(all.0);
            }
        }
    }
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}::{name}"),
    }
}

/// An item that ought to have an example, if it is ours.
fn named(item: &Item) -> Option<(String, &Visibility, &[Attribute])> {
    let (name, visibility, attributes) = match item {
        Item::Struct(item) => (&item.ident, &item.vis, &item.attrs),
        Item::Enum(item) => (&item.ident, &item.vis, &item.attrs),
        Item::Trait(item) => (&item.ident, &item.vis, &item.attrs),
        Item::Fn(item) => (&item.sig.ident, &item.vis, &item.attrs),
        Item::Mod(item) => (&item.ident, &item.vis, &item.attrs),
        _ => return None,
    };
    Some((name.to_string(), visibility, attributes))
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc")
            && matches!(&attribute.meta, Meta::List(list) if list.tokens.to_string() == "hidden")
    })
}

fn has_example(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
            Expr::Lit(text) => {
                matches!(&text.lit, Lit::Str(text) if text.value().contains("```"))
            }
            // A page in a file of its own.
            _ => true,
        },
        _ => false,
    })
}

#[test]
fn every_page_and_item_of_green_has_an_example() {
    let root = Page::read(&super::top().join("green/lib.rs"));
    let mut public = Public::default();
    public.module("", &root);
    // It finds what is given out by way of several modules.
    for known in [
        "asyncio::protocol",
        "http::Body",
        "serve",
        "ssl::pipe::SslPipe",
    ] {
        assert!(public.0.contains_key(known), "{known} is not found");
    }
    assert!(public.0.len() > 200, "{:#?}", public.0.keys());

    let broken: BTreeSet<String> = public
        .0
        .into_iter()
        .filter(|(path, has_example)| {
            let of_a_face = FACES
                .iter()
                .any(|face| path.split("::").next() == Some(face));
            !has_example && !of_a_face
        })
        .map(|(path, _)| path)
        .collect();
    super::only(&broken, ELSEWHERE, "a page or an item has an example");
}
