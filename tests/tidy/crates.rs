//! The crates that ours stand on: how many a user's program builds. Their licences and where they come from are cargo-deny's to
//! check: `.ci/deny.toml`.

use std::collections::BTreeSet;

use super::cargo;

/// What a plain TCP program has to build.
const AT_MOST: usize = 30;

/// The crates that a user's program builds on Linux, each once for each version.
fn built(options: &[&str]) -> BTreeSet<String> {
    let mut arguments = vec!["tree", "--package=green-std", "--edges=normal,build"];
    arguments.extend(["--prefix=none", "--format={p}"]);
    arguments.push("--target=x86_64-unknown-linux-gnu");
    arguments.extend(options);
    let tree = cargo(&arguments);
    let names = tree.lines().filter_map(|line| line.split(" (").next());
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_plain_program_builds_few_crates_and_a_usual_one_builds_none_twice() {
    let plain = built(&["--no-default-features"]);
    assert!(plain.len() <= AT_MOST, "{plain:#?}");
    let readme = std::fs::read_to_string(super::top().join("README.md")).unwrap();
    let told = format!("{} crates", plain.len());
    assert!(readme.contains(&told), "README does not say {told}");
    let usual = built(&[]);
    let names: BTreeSet<_> = usual.iter().map(|line| line.split(' ').next()).collect();
    assert_eq!(names.len(), usual.len(), "twice among {usual:#?}");
}
