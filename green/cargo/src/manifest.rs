//! The manifest of a copy.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::Package;
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, value};

use crate::program::{GREEN, Program, folder};

/// How a copy finds green-std: the way the program itself does.
#[derive(Clone, Debug)]
pub enum GreenSource {
    Path(PathBuf),
    Version(String),
    /// Keys and values behind `git`.
    Git(Vec<(String, String)>),
}

impl GreenSource {
    pub fn of(program: &Program) -> Result<Self> {
        let green = program.green()?;
        let Some(source) = &green.source else {
            return Ok(Self::Path(folder(green).to_owned()));
        };
        let Some(git) = source.repr.strip_prefix("git+") else {
            return Ok(Self::Version(green.version.to_string()));
        };
        let git = git.split('#').next().unwrap_or(git);
        let (url, query) = git.split_once('?').unwrap_or((git, ""));
        let mut keys = vec![("git".to_owned(), url.to_owned())];
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, text) = pair
                .split_once('=')
                .context("the source of green-std is not understood")?;
            keys.push((key.to_owned(), text.to_owned()));
        }
        Ok(Self::Git(keys))
    }

    fn table(&self, from: &Path, features: &[&str]) -> Table {
        let mut table = Table::new();
        table.insert("package", value(GREEN));
        match self {
            Self::Path(path) => drop(table.insert("path", value(relative(from, path)))),
            Self::Version(version) => drop(table.insert("version", value(version))),
            Self::Git(keys) => {
                for (key, text) in keys {
                    table.insert(key, value(text));
                }
            }
        }
        // The program says which features it wants; a copy needs none but these.
        table.insert("default-features", value(false));
        if !features.is_empty() {
            table.insert(
                "features",
                value(features.iter().copied().collect::<toml_edit::Array>()),
            );
        }
        table
    }
}

/// A dependency that is to come from another copy, because green-std uses that crate itself.
#[derive(Clone, Debug)]
pub struct Renamed {
    /// The name by which others depend on it.
    pub name: String,
    pub version: String,
    /// The name of the copy.
    pub package: String,
    /// Where it lies.
    pub folder: PathBuf,
}

/// The manifest of a copy of `package` that will lie in `folder`.
///
/// # Errors
///
/// If the manifest is not understood, or has a dependency called `green`.
pub fn of_copy(
    text: &str,
    package: &Package,
    new_name: Option<&str>,
    at: &Path,
    green: &GreenSource,
    features: &[&str],
) -> Result<DocumentMut> {
    let mut manifest: DocumentMut = text.parse()?;
    manifest.remove("lints");
    if let Some(name) = new_name {
        manifest["package"]["name"] = value(name);
        let library = crate::program::library(package).context("it has no library")?;
        manifest["lib"]["name"] = value(&library.name);
    }
    let dependencies = manifest
        .entry("dependencies")
        .or_insert_with(implicit)
        .as_table_mut();
    let dependencies = dependencies.context("`dependencies` is not a table")?;
    ensure!(
        !dependencies.contains_key("green"),
        "it depends on another crate by the name `green`"
    );
    dependencies.insert("green", Item::Table(green.table(at, features)));
    Ok(manifest)
}

/// Has every feature that turns the optional dependency `key` on ask for `along` too.
pub fn ask_along(manifest: &mut DocumentMut, key: &str, along: &str) -> Result<()> {
    let (dependency, of_dependency) = (format!("dep:{key}"), format!("{key}/"));
    let features = manifest.entry("features").or_insert_with(implicit);
    let features = features
        .as_table_like_mut()
        .context("`features` is not a table")?;
    let mut is_named = false;
    for (name, list) in features.iter_mut() {
        let list = list
            .as_array_mut()
            .with_context(|| format!("`features.{name}` is not a list"))?;
        let parts: Vec<&str> = list.iter().filter_map(|part| part.as_str()).collect();
        let names = parts.contains(&&*dependency);
        is_named |= names;
        if names || parts.iter().any(|part| part.starts_with(&of_dependency)) {
            list.push(along);
        }
    }
    // Otherwise there is a feature of the dependency's name, which nobody needs to write down.
    if !is_named {
        let list = toml_edit::Array::from_iter([&*dependency, along]);
        features.insert(key, value(list));
    }
    Ok(())
}

fn implicit() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

/// A change of a dependency in a manifest, enough to take it back.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Redirected {
    /// The way to the table: `dependencies`, or `target`, `cfg(unix)`, `dependencies`.
    pub table: Vec<String>,
    pub key: String,
    /// The value as it stood there, in TOML.
    pub before: String,
    /// The copy that it points at.
    pub to: String,
}

/// Points every dependency of the manifest on one of `renamed` at its copy.
///
/// `resolved` tells which version a dependency of that name has here.
///
/// # Errors
///
/// If the manifest is not understood.
pub fn redirect(text: &str, renamed: &[Renamed], at: &Path) -> Result<(String, Vec<Redirected>)> {
    let mut manifest: DocumentMut = text.parse()?;
    let mut done = Vec::new();
    for path in dependency_tables(&manifest) {
        let Some(table) = table_at(manifest.as_table_mut(), &path) else {
            continue;
        };
        let keys: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
        for key in keys {
            let item = table.get_mut(&key).expect("it was just there");
            let name = item
                .as_table_like()
                .and_then(|item| item.get("package")?.as_str())
                .unwrap_or(&key);
            let inherited = item
                .as_table_like()
                .is_some_and(|item| item.contains_key("workspace"));
            let Some(renamed) = renamed.iter().find(|renamed| renamed.name == name) else {
                continue;
            };
            if inherited || !accepts(item, &renamed.version)? {
                continue;
            }
            done.push(Redirected {
                table: path.clone(),
                key,
                before: item.to_string().trim().to_owned(),
                to: renamed.package.clone(),
            });
            point_at(item, renamed, at);
        }
    }
    Ok((manifest.to_string(), done))
}

/// Takes back what [`redirect`] did.
pub fn give_back(text: &str, redirected: &[Redirected]) -> Result<String> {
    let mut manifest: DocumentMut = text.parse()?;
    for change in redirected {
        let Some(table) = table_at(manifest.as_table_mut(), &change.table) else {
            continue;
        };
        if let Some(item) = table.get_mut(&change.key) {
            // What was a table of its own is read as a document, everything else as a value.
            *item = match change.before.parse::<toml_edit::Value>() {
                Ok(before) => {
                    let mut before = value(before);
                    if let (Some(new), Some(old)) = (before.as_value_mut(), item.as_value()) {
                        *new.decor_mut() = old.decor().clone();
                    }
                    before
                }
                Err(_) => {
                    let mut before = change.before.parse::<DocumentMut>()?.as_table().clone();
                    if let Some(old) = item.as_table() {
                        *before.decor_mut() = old.decor().clone();
                        before.set_position(old.position());
                    }
                    Item::Table(before)
                }
            };
        }
    }
    Ok(manifest.to_string())
}

/// The ways to the tables of what is needed at run time.
pub fn dependency_tables(manifest: &DocumentMut) -> Vec<Vec<String>> {
    let targets: Vec<String> = manifest
        .get("target")
        .and_then(Item::as_table_like)
        .map(|targets| targets.iter().map(|(name, _)| name.to_owned()).collect())
        .unwrap_or_default();
    let mut tables: Vec<Vec<String>> = vec![vec!["dependencies".into()]];
    tables.push(vec!["workspace".into(), "dependencies".into()]);
    tables.extend(
        targets
            .into_iter()
            .map(|target| vec!["target".into(), target, "dependencies".into()]),
    );
    tables
}

pub fn table_at<'a>(
    mut table: &'a mut dyn TableLike,
    path: &[String],
) -> Option<&'a mut dyn TableLike> {
    for key in path {
        table = table.get_mut(key)?.as_table_like_mut()?;
    }
    Some(table)
}

/// Whether a dependency's requirement lets in that version.
fn accepts(item: &Item, version: &str) -> Result<bool> {
    let requirement = item
        .as_str()
        .or_else(|| item.as_table_like()?.get("version")?.as_str());
    let requirement = cargo_metadata::semver::VersionReq::parse(requirement.unwrap_or("*"))?;
    Ok(requirement.matches(&version.parse()?))
}

fn point_at(item: &mut Item, renamed: &Renamed, at: &Path) {
    if item.is_str() {
        let mut table = InlineTable::new();
        std::mem::swap(
            table.decor_mut(),
            item.as_value_mut()
                .expect("a string is a value")
                .decor_mut(),
        );
        *item = value(table);
    }
    let table = item.as_table_like_mut().expect("it is a table now");
    table.remove("version");
    table.insert("package", value(&renamed.package));
    table.insert("path", value(relative(at, &renamed.folder)));
}

/// `to`, as it is written in a manifest in `from`. Both are absolute.
pub fn relative(from: &Path, to: &Path) -> String {
    let common = from
        .components()
        .zip(to.components())
        .take_while(|(a, b)| a == b)
        .count();
    // Nothing but the root in common: another tree of files.
    if common <= 1 {
        return to.display().to_string();
    }
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(to.components().skip(common)).collect();
    path.display().to_string()
}

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What the lock file calls the registry of a table `[patch.…]`.
pub fn source(registry: &str) -> String {
    match registry {
        "crates-io" => CRATES_IO.to_owned(),
        url if url.starts_with("sparse+") => url.to_owned(),
        url => format!("registry+{url}"),
    }
}

/// The table `[patch.…]` for packages of a registry.
pub fn patch_table(source: &str) -> Result<String> {
    let Some((kind, url)) = source.split_once('+') else {
        bail!("its source {source} is not understood");
    };
    Ok(match (kind, url) {
        _ if source == CRATES_IO => "crates-io".into(),
        ("sparse", "https://index.crates.io/") => "crates-io".into(),
        ("registry", url) => url.into(),
        _ => source.into(),
    })
}
