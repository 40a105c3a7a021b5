//! Real crates of the registry, patched and run: twenty operations at once on one hub, and a storm of kills and limits.
//!
//! The crates come from cargo's cache, so a test is skipped where they were never fetched.

use std::path::{Path, PathBuf};
use std::process::Command;

use test_support::servers::Server;

use crate::support::text;

/// Builds a program with its dependencies of these names patched; `None`, with a word why, where it cannot.
fn built(name: &str, main: &str, dependencies: &str, patched: &[&str]) -> Option<PathBuf> {
    if std::env::var("GREEN_TRIALS").as_deref() != Ok("full") {
        eprintln!("skipped: it builds real crates for some minutes; GREEN_TRIALS=full runs it");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let green = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::create_dir(root.join("src")).unwrap();
    std::fs::write(root.join("src/main.rs"), main).unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n\
         green-std = {{ path = \"{}\", default-features = false }}\n{dependencies}",
        green.display()
    );
    std::fs::write(root.join("Cargo.toml"), manifest).unwrap();

    let lock = cargo(root)
        .args(["generate-lockfile", "--offline"])
        .output()
        .unwrap();
    let fetched = cargo(root).args(["fetch", "--offline"]).output().unwrap();
    if !lock.status.success() || !fetched.status.success() {
        eprintln!(
            "skipped: the crates are not in cargo's cache: {}{}",
            text(&lock),
            text(&fetched)
        );
        return None;
    }
    let copies = Command::new(env!("CARGO_BIN_EXE_cargo-green"))
        .args(["green", "patch", "--yes", "--offline"])
        .args(patched)
        .env("CARGO", env!("CARGO"))
        .current_dir(root)
        .output()
        .unwrap();
    assert!(copies.status.success(), "{}", text(&copies));
    let built = cargo(root).args(["build", "--offline"]).output().unwrap();
    assert!(built.status.success(), "{}", text(&built));
    Some(target().join("debug").join(name))
}

/// What a program says that must end well within a minute.
fn run(program: &Path, arguments: &[String], hubs: &str) -> String {
    let ran = Command::new("timeout")
        .arg("60")
        .arg(program)
        .args(arguments)
        .env("GREEN_HUBS", hubs)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", text(&ran));
    let said = String::from_utf8(ran.stdout).unwrap();
    println!("{said}");
    said
}

#[test]
fn twenty_operations_of_crates_that_know_nothing_of_green_threads_wait_at_once_on_one_hub() {
    let dependencies = r#"
minreq = "2"
threadpool = "1.8"
ureq = { version = "2", default-features = false }
lazy_static = "1.5"
r2d2 = "0.8"
redis = { version = "0.27", default-features = false, features = ["keep-alive"] }
"#;
    let patched = [
        "minreq",
        "threadpool",
        "ureq",
        "lazy_static",
        "r2d2",
        "redis",
    ];
    let main = include_str!("real_program/main.rs");
    let Some(program) = built("real", main, dependencies, &patched) else {
        return;
    };
    let redis = Server::redis();
    let port = redis.as_ref().map(|redis| redis.port.to_string());
    let said = run(&program, port.as_slice(), "1");
    let expected = if redis.is_some() { 6 } else { 5 };
    assert_eq!(said.lines().count(), expected, "{said}");
    for line in said.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [right, took, longest, spared] =
            [1, 2, 3, 4].map(|at| words[at].parse::<u64>().unwrap());
        assert_eq!(right, 20, "{line}");
        assert_eq!(spared, 10, "{line}");
        // One after another they would take 8 s, and every answer would hold the hub for 400 ms.
        assert!(took < 4000, "{line}");
        assert!(longest < 200, "{line}");
    }
}

#[test]
fn crates_with_unsafe_code_bear_a_storm_of_kills_and_limits() {
    let dependencies = r#"
crossbeam-utils = "0.8"
once_cell = "1"
r2d2 = "0.8"
"#;
    let patched = ["crossbeam-utils", "once_cell", "r2d2"];
    let main = include_str!("storm_program/main.rs");
    let Some(program) = built("storm", main, dependencies, &patched) else {
        return;
    };
    for hubs in ["1", "2"] {
        let said = run(&program, &["12".to_owned()], hubs);
        assert_eq!(said.lines().count(), 8, "{said}");
        for line in said.lines() {
            let (_, count) = line.split_once(' ').unwrap();
            assert_ne!(count, "0", "{line}");
        }
    }
}

/// What was built stays from one run to the next.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("real")
}

fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target());
    command
}
