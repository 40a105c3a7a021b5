//! The blocks of a lock file.

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

/// The lock file in which a copy under `new_name` stands for a package, with the dependencies that the package has. Otherwise
/// cargo would choose those of the copy anew, among all versions that the lock file has.
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
    let of_copy = lines.join("\n");
    let Some(new_name) = new_name else {
        return with_block(lock, name, version, &of_copy);
    };
    let of_copy = of_copy.replacen(&format!("\"{name}\""), &format!("\"{new_name}\""), 1);
    // Cargo drops the package's own if nothing needs it.
    let both = format!("{of_package}\n\n[[package]]\n{of_copy}");
    with_block(lock, name, version, &both)
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
