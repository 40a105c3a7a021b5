//! Copies that the program no longer uses: cargo only warns about that, and the program blocks
//! again.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::lockfile;
use crate::program::{Program, folder, title};
use crate::record::Record;

/// Where the copies in `at` and the program no longer fit together, a sentence for each.
pub fn drift(program: &Program, record: &Record, at: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let lock = fs::read_to_string(program.root.join("Cargo.lock"))?;
    let unused = lockfile::unused_patches(&lock);
    for entry in &record.crates {
        let place = at.join(&entry.folder);
        let used = (program.locked().iter()).any(|package| folder(package) == place);
        if used {
            continue;
        }
        let others = program
            .locked()
            .iter()
            .filter(|package| *package.name == *entry.name && package.source.is_some());
        let others: Vec<String> = others.map(title).collect();
        let instead = match others.as_slice() {
            [] => "nothing needs it any more".to_owned(),
            _ => format!(
                "the program has {} of the registry in its place, on std",
                others.join(" and ")
            ),
        };
        wrong.push(format!(
            "the copy of {} is not used: {instead}; take it back by `cargo green patch --undo {}@{}` and patch anew",
            entry.title(),
            entry.name,
            entry.version
        ));
    }
    for unused in unused {
        let known = record
            .crates
            .iter()
            .any(|entry| format!("{} {}", entry.name, entry.version) == unused);
        if !known {
            wrong.push(format!(
                "the patch for {unused} in the program's manifest is not used"
            ));
        }
    }
    Ok(wrong)
}

/// An error if anything does not fit.
pub fn refuse(program: &Program, record: &Record, at: &Path) -> Result<()> {
    let wrong = if record.crates.is_empty() {
        Vec::new()
    } else {
        drift(program, record, at)?
    };
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}", wrong.join("\n"));
}
