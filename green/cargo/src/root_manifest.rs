//! What the program's own manifest says of the copies: that they are patches, and no members of its workspace.

use std::path::Path;

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, value};

use crate::record::Entry;

/// Points the program at a copy, by a patch of its registry.
pub fn add_patch(manifest: &mut DocumentMut, entry: &Entry, path: &str) -> Result<()> {
    let implicit = || {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    };
    let patch = manifest
        .entry("patch")
        .or_insert_with(implicit)
        .as_table_mut()
        .context("`patch` is not a table")?;
    let table = patch
        .entry(&entry.registry)
        .or_insert_with(|| Item::Table(Table::new()));
    let table = table
        .as_table_like_mut()
        .context("the table of `patch` is not understood")?;
    let mut source = InlineTable::new();
    if entry.key != entry.name {
        source.insert("package", entry.name.as_str().into());
    }
    source.insert("path", path.into());
    table.insert(&entry.key, value(source));
    Ok(())
}

/// Copies that the program depends on by their path are not to become its members.
pub fn exclude(manifest: &mut DocumentMut, folder: &Path) -> Result<()> {
    let Some(workspace) = manifest
        .get_mut("workspace")
        .and_then(Item::as_table_like_mut)
    else {
        return Ok(());
    };
    let folder = folder.display().to_string();
    let exclude = workspace
        .entry("exclude")
        .or_insert(value(toml_edit::Array::new()));
    let exclude = exclude
        .as_array_mut()
        .context("`workspace.exclude` is not a list")?;
    if !exclude.iter().any(|path| path.as_str() == Some(&folder)) {
        exclude.push(folder);
    }
    Ok(())
}

/// Takes a patch back, if it `is_ours` by its path.
pub fn remove_patch(manifest: &mut DocumentMut, entry: &Entry, is_ours: impl Fn(&str) -> bool) {
    let Some(patch) = manifest.get_mut("patch").and_then(Item::as_table_mut) else {
        return;
    };
    if let Some(table) = patch
        .get_mut(&entry.registry)
        .and_then(Item::as_table_like_mut)
    {
        let path = table
            .get(&entry.key)
            .and_then(|item| item.as_table_like()?.get("path")?.as_str());
        if path.is_some_and(is_ours) {
            table.remove(&entry.key);
        }
    }
    tidy_patches(manifest);
}

/// Drops tables of patches that are empty.
pub fn tidy_patches(manifest: &mut DocumentMut) {
    let Some(patch) = manifest.get_mut("patch").and_then(Item::as_table_mut) else {
        return;
    };
    let is_empty = |item: &Item| item.as_table_like().is_some_and(TableLike::is_empty);
    patch.retain(|_, item| !is_empty(item));
    if patch.is_empty() {
        manifest.remove("patch");
    }
}

/// Takes back that the copies are no members.
pub fn include(manifest: &mut DocumentMut, folder: &str) {
    let Some(workspace) = manifest
        .get_mut("workspace")
        .and_then(Item::as_table_like_mut)
    else {
        return;
    };
    if let Some(exclude) = workspace.get_mut("exclude").and_then(Item::as_array_mut) {
        exclude.retain(|path| path.as_str() != Some(folder));
        if exclude.is_empty() {
            workspace.remove("exclude");
        }
    }
}
