//! `cargo green patch --undo` of single crates.

use crate::support::{NAP, Program, can_kill, text};

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
    let program = Program::with_two_versions();
    program.patched(&["patch", "twice"]);
    program.patched(&["patch", "--undo", "twice@1.0.0"]);
    assert_copies(&program, &["twice-2.0.0"]);
    assert_eq!(program.run(), "green sleeps\n");
}

#[test]
fn a_copy_under_another_name_is_given_up_by_the_copies_that_used_it() {
    let program = Program::with_a_crate_of_green();
    program.patched(&["patch", "user"]);
    let before = program.snapshot();
    program.patched(&["patch", "lazy"]);
    assert_eq!(program.run(), "green sleeps\n".repeat(3));
    program.patched(&["patch", "--undo", "lazy"]);
    assert_eq!(program.snapshot(), before);
    assert_eq!(program.run(), "green sleeps\n");
}

#[test]
fn a_folder_that_was_deleted_is_told_and_what_pointed_at_it_is_taken_back() {
    let program = two_users();
    let before = program.snapshot();
    program.patched(&["patch", "--yes", "first", "second"]);
    std::fs::remove_dir_all(program.path("green-patched")).unwrap();
    for arguments in [&["check"][..], &["patch", "first"]] {
        let said = program.refused(arguments);
        assert!(
            said.contains("green-patched, is gone: bring it back, or"),
            "{said}"
        );
    }
    let said = program.refused(&["patch", "--undo", "first"]);
    assert!(said.contains("takes back all of them"), "{said}");
    let lost = program.snapshot();
    let said = program.patched(&["patch", "--undo", "--dry-run"]);
    assert!(
        said.contains("-first = { path = \"green-patched/first-1.0.0\" }"),
        "{said}"
    );
    program.assert_is(&lost);
    program.patched(&["patch", "--undo"]);
    program.assert_is(&before);
    let said = program.patched(&["patch", "--undo"]);
    assert!(said.contains("nothing to do"), "{said}");
    program.assert_is(&before);
}

#[test]
fn without_the_folder_versions_stay_though_there_are_newer_ones() {
    let program = two_users();
    program.patched(&["patch", "--yes", "first"]);
    std::fs::remove_dir_all(program.path("green-patched")).unwrap();
    program.publish("own", "1.1.0", "", &[("src/lib.rs", "")]);
    program.patched(&["patch", "--undo"]);
    let lock = program.read("Cargo.lock");
    assert!(
        lock.contains("name = \"own\"\nversion = \"1.0.0\"\nsource = "),
        "{lock}"
    );
    assert_eq!(program.run(), "-\n");
}

#[test]
fn without_the_folder_a_copy_under_another_name_gives_way_to_its_original() {
    let program = Program::with_a_crate_of_green();
    let lock = program.read("Cargo.lock");
    let manifest = program.read("Cargo.toml") + "[workspace]\nmembers = [\"app\"]\n";
    program.write("Cargo.toml", &manifest);
    program.write(
        "app/Cargo.toml",
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n\
         asleep = { package = \"lazy\", version = \"1\" }\n",
    );
    program.write("app/src/lib.rs", "");
    program.lock();
    let before = program.read("Cargo.lock");
    assert_ne!(lock, before);
    program.patched(&["patch", "lazy", "user"]);
    std::fs::remove_dir_all(program.path("green-patched")).unwrap();
    let said = program.patched(&["patch", "--undo"]);
    for (manifest, line) in [
        (
            "Cargo.toml",
            "lazy = { version = \"1.0.0\", features = [\"std\"] }",
        ),
        (
            "app/Cargo.toml",
            "asleep = { package = \"lazy\", version = \"1.0.0\" }",
        ),
    ] {
        let text = program.read(manifest);
        let dependency: toml_edit::DocumentMut = text.parse().unwrap();
        let line: toml_edit::DocumentMut = line.parse().unwrap();
        let (key, wanted) = line.iter().next().unwrap();
        let found = &dependency["dependencies"][key];
        for (key, value) in wanted.as_table_like().unwrap().iter() {
            assert_eq!(
                found[key].to_string().trim(),
                value.to_string().trim(),
                "{text}"
            );
        }
        assert!(found.get("path").is_none(), "{text}");
        let told = format!("{manifest}: {key} = \"1.0.0\": what stood there before");
        assert!(said.contains(&told), "{said}");
    }
    assert_eq!(program.read("Cargo.lock"), before);
    assert!(!program.read("Cargo.toml").contains("green-patched"));
    assert_eq!(program.run(), "");
}

#[test]
fn a_single_copy_that_was_deleted_is_taken_back_like_the_others() {
    let program = two_users();
    program.patched(&["patch", "--yes", "first", "second"]);
    std::fs::remove_dir_all(program.path("green-patched/own-1.0.0")).unwrap();
    program.patched(&["patch", "--undo", "first"]);
    assert_copies(&program, &["second-1.0.0", "shared-1.0.0"]);
}

#[test]
fn ends_of_lines_and_links_stay_what_they_are() {
    // A lock file in which cargo has to resolve anything gets cargo's own ends.
    let cases = [
        (
            two_users(),
            ["first", "second"],
            &["Cargo.toml", "Cargo.lock"][..],
        ),
        (
            Program::with_a_crate_of_green(),
            ["lazy", "user"],
            &["Cargo.toml"],
        ),
    ];
    for (program, crates, names) in cases {
        for name in names {
            let text = program.read(name).replace('\n', "\r\n");
            program.write(name, &text);
        }
        // One line ends otherwise.
        let manifest = program.read("Cargo.toml").replacen("\r\n", "\n", 1);
        program.write("elsewhere/Cargo.toml", &manifest);
        std::fs::remove_file(program.path("Cargo.toml")).unwrap();
        std::os::unix::fs::symlink("elsewhere/Cargo.toml", program.path("Cargo.toml")).unwrap();
        let before = program.snapshot();
        program.patched(&[&["patch", "--yes"], &crates[..]].concat());
        assert_ne!(program.snapshot(), before);
        program.run();
        program.patched(&["patch", "--undo"]);
        program.assert_is(&before);
        let kept = std::fs::symlink_metadata(program.path("Cargo.toml")).unwrap();
        assert!(kept.is_symlink());
    }
}

/// What moves files and folders.
const MOVES: [&str; 3] = ["rename", "renameat", "renameat2"];

/// Kills `run` at each of its moves in turn. After each, `check` is told which it was, and makes the program what it was before.
fn kill_at_each_move(program: &Program, run: &[&str], mut check: impl FnMut(&str)) -> usize {
    let mut kills = 0;
    for call in MOVES {
        for nth in 1.. {
            let killed = program.killed(call, nth, run);
            check(&format!("{call} {nth}"));
            if !killed {
                break;
            }
            kills += 1;
        }
    }
    kills
}

#[test]
fn whatever_is_killed_in_the_midst_can_be_taken_back_and_leaves_nothing() {
    if !can_kill() {
        return;
    }
    let first = &["patch", "--yes", "first"];
    let both = &["patch", "--yes", "first", "second"];
    let all_back = &["patch", "--undo"];
    let first_back = &["patch", "--undo", "first"];

    let program = two_users();
    let before = program.snapshot();
    let kills = kill_at_each_move(&program, both, |_| {
        program.patched(all_back);
        program.assert_is(&before);
    });
    assert!(kills >= 3, "{kills}");

    program.patched(both);
    let patched = program.snapshot();
    let kills = kill_at_each_move(&program, all_back, |_| {
        program.patched(all_back);
        program.assert_is(&before);
        program.patched(both);
        program.assert_is(&patched);
    });
    assert!(kills >= 3, "{kills}");

    program.patched(first_back);
    let without_first = program.snapshot();
    program.patched(first);
    let patched = program.snapshot();
    let kills = kill_at_each_move(&program, first_back, |place| {
        let output = program.green(first_back);
        let said = text(&output);
        let is_done = said.contains("first is not patched");
        assert!(output.status.success() || is_done, "{place}: {said}");
        program.assert_is(&without_first);
        program.patched(first);
        program.assert_is(&patched);
    });
    assert!(kills >= 4, "{kills}");
}

#[test]
fn of_what_killed_runs_left_only_what_is_surely_theirs_is_removed() {
    let program = two_users();
    let before = program.snapshot();
    let left = [
        ".cargo-green-aB3dEf/lock",
        ".cargo-green-aB3dEf/new/first-1.0.0/src/lib.rs",
        ".cargo-green-aB3dEg/lock",
        ".cargo-green-aB3dEh.new",
    ];
    let stays = [
        // Of a run that lives.
        ".cargo-green-living/lock",
        ".cargo-green-living/new/patched.toml",
        ".cargo-green-alive1.new",
        // Not by us.
        ".cargo-green-notes/lock",
        ".cargo-green-aB3dEi/lock",
        ".cargo-green-aB3dEi/mine",
        ".cargo-green-aB3dEj",
        ".cargo-green-mine.new",
        ".cargo-green.new",
    ];
    for name in left.iter().chain(&stays) {
        program.write(name, "");
    }
    std::fs::create_dir(program.path(".cargo-green-aB3dEk")).unwrap();
    let live = [stays[0], stays[2]].map(|name| std::fs::File::open(program.path(name)).unwrap());
    live.iter().for_each(|file| file.lock().unwrap());
    program.patched(&["patch", "--undo"]);
    for name in left
        .iter()
        .chain(&[".cargo-green-aB3dEg", ".cargo-green-aB3dEk"])
    {
        assert!(!program.path(name).exists(), "{name}");
    }
    for name in stays {
        let path = program.path(name);
        assert!(path.exists(), "{name}");
        std::fs::remove_file(path).unwrap();
    }
    program.assert_is(&before);
}

#[test]
fn undo_as_a_command_says_how_it_is_done() {
    let program = two_users();
    let said = program.refused(&["undo", "first"]);
    assert!(said.contains("`cargo green patch --undo first`"), "{said}");
}
