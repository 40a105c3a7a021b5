//! The blocks of a lock file.

use std::fs;
use std::io;
use std::path::Path;

use crate::program::GREEN;

/// The text of a lock file, with the usual ends of lines.
pub fn read(path: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.replace("\r\n", "\n"))
}

/// What the lock file says of a package: its block, without the line `[[package]]`.
pub fn block<'a>(lock: &'a str, name: &str, version: &str) -> Option<&'a str> {
    let blocks = lock.split("[[package]]\n").skip(1);
    let mut blocks = blocks.map(|block| block.split("\n[[").next().unwrap_or(block).trim_end());
    let head = format!("name = \"{name}\"\nversion = \"{version}\"");
    blocks.find(|block| block.starts_with(&head))
}

/// The lock file with the block of a package set to what it was.
pub fn with_block(lock: &str, name: &str, version: &str, block_before: &str) -> String {
    match block(lock, name, version) {
        Some(now) => {
            let start = now.as_ptr() as usize - lock.as_ptr() as usize;
            format!(
                "{}{block_before}{}",
                &lock[..start],
                &lock[start + now.len()..]
            )
        }
        None => lock.to_owned(),
    }
}

/// The lock file in which a package that a copy stood for comes from `source` again. Cargo adds the checksum.
pub fn with_source(lock: &str, name: &str, version: &str, source: &str) -> String {
    let Some(of_copy) = block(lock, name, version) else {
        return lock.to_owned();
    };
    let line = format!("version = \"{version}\"");
    let of_package = of_copy.replacen(&line, &format!("{line}\nsource = \"{source}\""), 1);
    with_block(lock, name, version, &of_package)
}

/// The lock file in which a copy, perhaps under `new_name`, stands for a package: with the dependencies that the package has, and
/// green. Otherwise cargo would choose those of the copy anew, among all versions that the lock file has.
pub fn with_copy(lock: &str, name: &str, version: &str, new_name: Option<&str>) -> String {
    let Some(of_package) = block(lock, name, version) else {
        return lock.to_owned();
    };
    let is_of_registry = |line: &&str| {
        !["source = ", "checksum = "]
            .iter()
            .any(|key| line.starts_with(key))
    };
    let lines: Vec<&str> = of_package.lines().filter(is_of_registry).collect();
    let of_copy = with_dependency(&lines.join("\n"), GREEN);
    let Some(new_name) = new_name else {
        return with_block(lock, name, version, &of_copy);
    };
    // The package's own stays, since green depends on it.
    let of_copy = of_copy.replacen(&format!("\"{name}\""), &format!("\"{new_name}\""), 1);
    let is_behind = |block: &str| {
        let name = block.strip_prefix("[[package]]\nname = \"");
        name.and_then(|name| name.split('"').next())
            .is_none_or(|name| name > new_name)
    };
    let heads = lock.match_indices("[[").map(|(at, _)| at);
    let place = heads.into_iter().find(|at| is_behind(&lock[*at..]));
    match place {
        Some(at) => format!("{}[[package]]\n{of_copy}\n\n{}", &lock[..at], &lock[at..]),
        None => format!("{lock}\n[[package]]\n{of_copy}\n"),
    }
}

/// The block of a package that depends on another one too.
fn with_dependency(block: &str, name: &str) -> String {
    const HEAD: &str = "dependencies = [\n";
    let line = format!(" \"{name}\",\n");
    let Some((head, list)) = block.split_once(HEAD) else {
        return format!("{block}\n{HEAD}{line}]");
    };
    let name_of = |line: &str| {
        let name = line.trim_start_matches([' ', '"']);
        name.split([' ', '"']).next().unwrap_or_default().to_owned()
    };
    let before: String = (list.split_inclusive('\n'))
        .take_while(|other| other.starts_with(' ') && *name_of(other) < *name)
        .collect();
    format!("{head}{HEAD}{before}{line}{}", &list[before.len()..])
}

/// Patches that no package of the program uses, as `name version`.
pub fn unused_patches(lock: &str) -> Vec<String> {
    let blocks = lock.split("[[patch.unused]]\n").skip(1);
    blocks
        .map(|block| {
            let text = |key| {
                let line = block.lines().find_map(|line| line.strip_prefix(key));
                line.unwrap_or_default()
                    .trim_matches([' ', '=', '"'])
                    .to_owned()
            };
            format!("{} {}", text("name"), text("version"))
        })
        .collect()
}
