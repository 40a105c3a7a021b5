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
        "--example",
        name,
    ]);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "{name} does not build");
    profile.join("examples").join(name)
}
