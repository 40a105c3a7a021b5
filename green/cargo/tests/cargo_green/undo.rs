//! `cargo green patch --undo` of single crates.

use crate::support::Program;

const NAP: &str = "pub fn f() { std::thread::sleep(std::time::Duration::ZERO) }";

/// Whether there are copies of these, and no others.
fn assert_copies(program: &Program, expected: &[&str]) {
    let folder = std::fs::read_dir(program.path("green-patched"));
    let names = (folder.unwrap()).map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut copies: Vec<String> = names.filter(|name| name.contains('-')).collect();
    copies.sort();
    assert_eq!(copies, expected);
}

/// `first` and `second` both sleep by way of `shared`, and `first` by way of `own` too.
fn two_users() -> Program {
    let program = Program::new(
        "first = \"1\"\nsecond = \"1\"",
        "fn main() { first::f(); println!(\"-\"); second::f(); }",
    );
    for name in ["shared", "own"] {
        program.publish(name, "1.0.0", "", &[("src/lib.rs", NAP)]);
    }
    let sleep = "std::thread::sleep(std::time::Duration::ZERO)";
    program.publish(
        "first",
        "1.0.0",
        "[dependencies]\nshared = \"1\"\nown = \"1\"\n",
        &[(
            "src/lib.rs",
            &format!("pub fn f() {{ shared::f(); own::f(); {sleep} }}"),
        )],
    );
    program.publish(
        "second",
        "1.0.0",
        "[dependencies]\nshared = \"1\"\n",
        &[(
            "src/lib.rs",
            &format!("pub fn f() {{ shared::f(); {sleep} }}"),
        )],
    );
    program.lock();
    program
}

#[test]
fn a_crate_goes_with_what_only_it_needed_and_the_rest_stays_to_the_byte() {
    // In one run or in two, the other one first or last.
    for runs in [
        &[&["first", "second"][..]][..],
        &[&["first"], &["second"]],
        &[&["second"], &["first"]],
    ] {
        let program = two_users();
        let before = program.snapshot();
        for crates in runs {
            program.patched(&[&["patch", "--yes"], *crates].concat());
        }
        assert_eq!(
            program.run(),
            "green sleeps\n".repeat(3) + "-\n" + &"green sleeps\n".repeat(2)
        );
        program.write("green-patched/second-1.0.0/src/mine.rs", "// By hand.");

        let patched = program.snapshot();
        let said = program.patched(&["patch", "--undo", "first", "--dry-run"]);
        assert!(
            said.contains("-first = { path = \"green-patched/first-1.0.0\" }"),
            "{said}"
        );
        assert!(said.contains("own-1.0.0 would go\n"), "{said}");
        assert!(!said.contains("shared-1.0.0 would go"), "{said}");
        assert_eq!(program.snapshot(), patched, "a dry run changes nothing");

        let said = program.patched(&["patch", "--undo", "first"]);
        assert!(said.contains("2 copies are gone"), "{said}");
        assert!(said.contains("shared 1.0.0 stays\n"), "{said}");
        assert_copies(&program, &["second-1.0.0", "shared-1.0.0"]);
        // Its neighbour's sleep is green in both.
        assert_eq!(
            program.run(),
            "green sleeps\n-\n".to_owned() + &"green sleeps\n".repeat(2)
        );
        assert_eq!(
            program.read("green-patched/second-1.0.0/src/mine.rs"),
            "// By hand."
        );

        // As it was, and once more.
        program.patched(&["patch", "--yes", "first"]);
        assert_copies(
            &program,
            &["first-1.0.0", "own-1.0.0", "second-1.0.0", "shared-1.0.0"],
        );
        program.patched(&["patch", "--undo", "first", "second"]);
        assert_eq!(program.snapshot(), before);
    }
}

#[test]
fn a_crate_that_another_copy_needs_or_that_is_not_patched_is_told_and_nothing_changes() {
    let program = two_users();
    let said = program.refused(&["patch", "--undo", "first"]);
    assert!(
        said.contains("first is not patched; what is: nothing"),
        "{said}"
    );
    program.patched(&["patch", "--yes", "first", "own"]);
    for (crates, message) in [
        (
            "nonesuch",
            "nonesuch is not patched; what is: first 1.0.0, own 1.0.0, shared 1.0.0",
        ),
        ("second", "second is not patched"),
        ("first@2.0.0", "first@2.0.0 is not patched"),
        (
            "shared",
            "shared 1.0.0 has to go along with first 1.0.0, which stays",
        ),
        // It was asked for, and would have gone along.
        (
            "own",
            "own 1.0.0 has to go along with first 1.0.0, which stays",
        ),
    ] {
        let said = program.refused(&["patch", "--undo", crates]);
        assert!(said.contains(message), "{said}");
    }
    let said = program.refused(&["patch", "--undo", "first", "nonesuch"]);
    assert!(said.contains("nonesuch is not patched"), "{said}");
    let said = program.refused(&["patch", "--undo", "first", "--except", "own"]);
    assert!(said.contains("cannot be used with"), "{said}");

    // What was asked for by itself stays without the other.
    let said = program.patched(&["patch", "--undo", "first"]);
    assert!(said.contains("own 1.0.0 stays\n"), "{said}");
    assert_copies(&program, &["own-1.0.0"]);
    program.patched(&["patch", "--undo", "own@1.0.0"]);
    assert!(!program.path("green-patched").exists());
}

#[test]
fn one_of_two_versions_goes_by_its_version() {
    let program = Program::new(
        "one = { package = \"twice\", version = \"1\" }\ntwo = { package = \"twice\", version = \"2\" }",
        "fn main() { one::f(); two::f(); }",
    );
    for version in ["1.0.0", "2.0.0"] {
        program.publish("twice", version, "", &[("src/lib.rs", NAP)]);
    }
    program.lock();
    program.patched(&["patch", "twice"]);
    program.patched(&["patch", "--undo", "twice@1.0.0"]);
    assert_copies(&program, &["twice-2.0.0"]);
    assert_eq!(program.run(), "green sleeps\n");
}

#[test]
fn a_copy_under_another_name_is_given_up_by_the_copies_that_used_it() {
    let program = Program::new(
        "lazy = \"1\"\nuser = \"1\"",
        "fn main() { lazy::f(); user::f(); }",
    );
    program.publish("lazy", "1.0.0", "", &[("src/lib.rs", NAP)]);
    program.publish(
        "user",
        "1.0.0",
        "[dependencies]\nlazy = \"1\"\n",
        &[(
            "src/lib.rs",
            "pub fn f() { lazy::f(); std::thread::sleep(std::time::Duration::ZERO) }",
        )],
    );
    let green = program.read("green/Cargo.toml") + "lazy = \"1\"\n";
    program.write("green/Cargo.toml", &green);
    program.lock();
    program.patched(&["patch", "user"]);
    let before = program.snapshot();
    program.patched(&["patch", "lazy"]);
    assert_eq!(program.run(), "green sleeps\n".repeat(3));
    program.patched(&["patch", "--undo", "lazy"]);
    assert_eq!(program.snapshot(), before);
    assert_eq!(program.run(), "green sleeps\n");
}
