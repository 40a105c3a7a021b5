//! Builds the example programs that tests run.

use std::path::PathBuf;
use std::process::Command;

/// Builds an example of `green-std` in the profile of the running test, and gives its path.
///
/// Cargo builds the examples of the package under test only, and these belong to another one.
pub fn build(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    build.args([
        "build",
        "--quiet",
        "--package",
        "green-std",
        "--features",
        "http-client,proxy-protocol,websocket",
        "--example",
        name,
    ]);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "{name} does not build");
    profile.join("examples").join(name)
}

/// The first line says which argument is wrong, and then comes the usage.
#[track_caller]
pub fn names_the_mistake(stderr: &[u8], program: &str, wrong: &[&str]) {
    let said = String::from_utf8_lossy(stderr);
    let first = said.lines().next().unwrap_or_default();
    assert!(first.starts_with(&format!("{program}: ")), "{said}");
    assert!(
        wrong.iter().any(|word| first.contains(word)),
        "{wrong:?}: {said}"
    );
    assert!(said.contains(&format!("\n\nUsage: {program}")), "{said}");
}
