//! Crates that only some choice of the program's features needs.

use crate::support::{NAP, Program, text};

/// The feature `fast` brings `sockets`, `deep` brings `inner` by way of `middle`; both together `both`. `elsewhere` is for
/// Windows.
fn with_features() -> Program {
    let program = Program::new(
        "sockets = { version = \"1\", optional = true }\nmiddle = \"1\"\n\
         [target.'cfg(windows)'.dependencies]\nelsewhere = \"1\"\n\
         [features]\nfast = [\"dep:sockets\"]\ndeep = [\"middle/deep\"]\nboth = [\"deep\", \"fast\"]",
        "fn main() {\n    middle::f();\n    #[cfg(feature = \"fast\")]\n    std::thread::sleep(std::time::Duration::ZERO);\n    \
         #[cfg(feature = \"fast\")]\n    sockets::f();\n}",
    );
    for name in ["sockets", "inner", "elsewhere"] {
        program.publish(name, "1.0.0", "", &[("src/lib.rs", NAP)]);
    }
    program.publish(
        "middle",
        "1.0.0",
        "[dependencies]\ninner = { version = \"1\", optional = true }\n[features]\ndeep = [\"dep:inner\"]\n",
        &[(
            "src/lib.rs",
            "pub fn f() { #[cfg(feature = \"deep\")] inner::f(); std::thread::sleep(std::time::Duration::ZERO) }",
        )],
    );
    program.lock();
    program
}

#[test]
fn a_crate_of_another_choice_of_features_is_told_from_one_that_the_lock_file_does_not_have() {
    let program = with_features();
    for (crates, message) in [
        (
            "sockets",
            "sockets is in the lock file, but the chosen features of the program do not need it: \
             pass `--features both` or `--features fast` or `--all-features`",
        ),
        ("inner@1.0.0", "pass `--features both` or `--features deep`"),
        (
            "elsewhere",
            "elsewhere is in the lock file, but nothing on this machine needs it",
        ),
        ("socket", "socket is not in the lock file; sockets is"),
        ("nonesuch", "nonesuch is not in the lock file"),
    ] {
        let said = program.refused(&["patch", crates]);
        assert!(said.contains(message), "{said}");
    }
    let said = program.refused(&["patch", "sockets", "--features", "fats"]);
    assert!(said.contains("fats"), "{said}");
}

#[test]
fn a_crate_behind_a_feature_is_patched_with_it_and_stays_so_where_the_feature_is_off() {
    for choice in [
        &["--features", "fast"][..],
        &["-F", "deep,fast"],
        &["--all-features"],
    ] {
        let program = with_features();
        let before = program.snapshot();
        program.patched(&[&["patch", "sockets", "--yes"], choice].concat());
        let output = program.cargo(&["run", "--quiet", "--offline", "--features", "fast"]);
        assert_eq!(text(&output), "green sleeps\n");
        // Its copy is no less used for being asked about without the feature.
        program.patched(&["patch", "middle"]);
        assert_eq!(program.run(), "green sleeps\n");
        program.patched(&["patch", "--undo", "middle"]);
        program.patched(&["patch", "--undo"]);
        assert_eq!(program.snapshot(), before);
    }
}

#[test]
fn what_goes_along_is_that_of_the_chosen_features() {
    let program = with_features();
    program.patched(&["patch", "middle", "--no-default-features"]);
    assert!(!program.path("green-patched/inner-1.0.0").exists());
    program.patched(&["patch", "--undo"]);
    let said = program.refused(&["patch", "middle", "--features", "deep"]);
    assert!(
        said.contains("inner 1.0.0: middle 1.0.0 depends on it"),
        "{said}"
    );
}

#[test]
fn check_looks_at_the_chosen_features_and_tells_what_it_leaves_out() {
    let program = with_features();
    let found = |choice: &[&str]| text(&program.green(&[&["check"], choice].concat()));
    let (own, crates) = (
        "error: src/main.rs:4: std::thread::sleep",
        "error: sockets 1.0.0/src/lib.rs:1: std::thread::sleep waits",
    );
    let said = found(&[]);
    assert!(!said.contains(own) && !said.contains(crates), "{said}");
    assert!(
        said.contains(
            "not looked at, since they are off: the features both, deep, fast, and so inner 1.0.0, sockets 1.0.0; \
             --features or --all-features turns them on\n"
        ),
        "{said}"
    );
    let said = found(&["--features", "fast"]);
    assert!(said.contains(own) && said.contains(crates), "{said}");
    assert!(
        said.contains("the features both, deep, and so inner 1.0.0;"),
        "{said}"
    );
    let said = found(&["--all-features"]);
    assert!(
        said.contains(own) && said.contains("inner 1.0.0/src/lib.rs"),
        "{said}"
    );
    assert!(!said.contains("not looked at"), "{said}");
}

#[test]
fn a_crate_that_a_feature_of_green_needs_is_copied_under_another_name() {
    let program = Program::new(
        "lazy = \"1\"\n[features]\nmore = [\"green-std/more\"]",
        "fn main() { lazy::f(); }",
    );
    program.publish("lazy", "1.0.0", "", &[("src/lib.rs", NAP)]);
    let green = program.read("green/Cargo.toml")
        + "lazy = { version = \"1\", optional = true }\n[features]\nmore = [\"dep:lazy\"]\n";
    program.write("green/Cargo.toml", &green);
    program.lock();
    program.patched(&["patch", "lazy"]);
    assert_eq!(program.run(), "green sleeps\n");
    let output = program.cargo(&["run", "--quiet", "--offline", "--features", "more"]);
    assert_eq!(text(&output), "green sleeps\n");
}

#[test]
fn features_of_a_workspace_are_named_with_their_member() {
    let program = with_features();
    let manifest = program.read("Cargo.toml") + "[workspace]\nmembers = [\"other\"]\n";
    program.write("Cargo.toml", &manifest);
    program.write(
        "other/Cargo.toml",
        "[package]\nname = \"other\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    );
    program.write("other/src/lib.rs", "");
    program.lock();
    let said = program.refused(&["patch", "sockets"]);
    assert!(said.contains("`--features program/fast`"), "{said}");
    program.patched(&["patch", "sockets", "--features", "program/fast"]);
}
