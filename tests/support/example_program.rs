//! Builds the example programs that tests run.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

/// Where the examples are, in the profile of the running test.
///
/// Cargo builds the examples of the package under test only, and these belong to another one. It is asked once, for all of
/// them, and of the whole workspace: then they are those that `cargo suite` has built.
static EXAMPLES: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    if std::env::var_os(ARE_BUILT).is_some() {
        return profile.join("examples");
    }
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    build.args(["build", "--quiet", "--workspace", "--examples"]);
    // What cargo tells a test of its own package would have build scripts run anew.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") {
            build.env_remove(name);
        }
    }
    build.env_remove("CARGO_MANIFEST_DIR");
    build.env_remove("CARGO_MANIFEST_PATH");
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "they do not build");
    profile.join("examples")
});

/// Says to a process that a test has started that the examples are built: it need not ask cargo again.
pub const ARE_BUILT: &str = "GREEN_TEST_EXAMPLES_ARE_BUILT";

/// Builds an example of `green-std`, and gives its path.
pub fn build(name: &str) -> PathBuf {
    let program = EXAMPLES.join(name);
    assert!(program.is_file(), "there is no example {name}");
    program
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
