//! The crates that ours stand on: under which licences they may be used, where they come from, how many they are.
//!
//! By what Cargo says of the lock file, so that it needs no network. What is known to be unsafe is not asked for here.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Whoever may use ours under MIT or Apache-2.0 may use these along with it.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];
/// Crates under other ones, of which only tests and tools are built.
const IN_TESTS_ALONE: &[&str] = &["attohttpc"];
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// What a plain TCP program has to build.
const AT_MOST: usize = 30;

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .current_dir(super::top())
        .args(arguments)
        .args(["--locked", "--offline"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn packages() -> Vec<Value> {
    // Those of other systems need not have been downloaded.
    let platform = "--filter-platform=x86_64-unknown-linux-gnu";
    let said = cargo(&["metadata", "--format-version=1", platform]);
    let mut metadata: Value = serde_json::from_str(&said).unwrap();
    match metadata["packages"].take() {
        Value::Array(packages) => packages,
        other => panic!("no packages: {other}"),
    }
}

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

/// Whether one of the alternatives of an SPDX expression is allowed in full.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    // Brackets stand around alternatives alone, in what crates say.
    let parts = match expression.contains('(') {
        true => expression.split(" AND ").map(str::to_owned).collect(),
        false => vec![expression],
    };
    parts.iter().all(|part| {
        let part = part.trim_matches(['(', ')']);
        part.split(" OR ").any(|one| {
            one.split(" AND ")
                .all(|licence| LICENCES.contains(&licence.trim()))
        })
    })
}

#[test]
fn every_crate_may_be_used_under_a_licence_that_asks_for_no_more_than_ours() {
    assert!(allowed("(MIT OR GPL-3.0) AND Unicode-3.0"));
    assert!(!allowed("MIT AND GPL-3.0") && !allowed("GPL-3.0"));
    let mut broken = BTreeSet::new();
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("none");
        if !allowed(licence) {
            broken.insert(package["name"].as_str().unwrap().to_owned());
        }
    }
    super::only(&broken, IN_TESTS_ALONE, "a crate's licence is a usual one");
    let shipped = built(&["--all-features"]);
    for name in IN_TESTS_ALONE {
        assert!(
            !shipped
                .iter()
                .any(|crate_| crate_.split(' ').next() == Some(name)),
            "{name} goes into users' programs"
        );
    }
}

#[test]
fn every_crate_comes_from_the_public_registry() {
    for package in packages() {
        let source = package["source"].as_str();
        assert!(source.is_none_or(|source| source == REGISTRY), "{package}");
    }
}

#[test]
fn a_plain_program_builds_few_crates_and_a_usual_one_builds_none_twice() {
    let plain = built(&["--no-default-features"]);
    assert!(plain.len() <= AT_MOST, "{plain:#?}");
    let usual = built(&[]);
    let names: BTreeSet<_> = usual.iter().map(|line| line.split(' ').next()).collect();
    assert_eq!(names.len(), usual.len(), "twice among {usual:#?}");
}
