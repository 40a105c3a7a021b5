//! `cargo green patch` and `--undo` on programs made for it.

use crate::support::{NAP, Program, text};

/// `outer` sleeps by way of `inner`; both are crates of the registry.
fn two_crates() -> Program {
    let program = Program::new(
        "outer = \"1\"",
        "fn main() { println!(\"{}\", outer::work()); }",
    );
    program.publish(
        "outer",
        "1.0.0",
        "[dependencies]\ninner = \"1\"\n[lints.rust]\nunused = \"deny\"\n",
        &[(
            "src/lib.rs",
            "//! Docs.\n#![deny(warnings)]\nuse std::{\n    io::{self, Write},\n    sync::{Arc, Mutex},\n};\n\
             pub fn work() -> u32 { let unused = 1; inner::wait(); line!() }\n",
        ),
        ("LICENSE", "as you like"),
        ("Cargo.lock", "")],
    );
    program.publish(
        "inner",
        "1.2.0",
        "edition = \"2015\"\n",
        &[(
            "src/lib.rs",
            "#[macro_export]\nmacro_rules! nap { () => { ::std::thread::sleep(::std::time::Duration::from_millis(1)) } }\n\
             pub mod deep;\npub fn wait() { deep::wait() }\n",
        ),
        (
            "src/deep.rs",
            "use std::{thread::{self, JoinHandle}, time::Duration};\nextern crate std as other;\nuse self::other::sync::Condvar;\n\
             thread_local! { static A: u8 = 1 }\n\
             pub fn wait() { let _: Option<JoinHandle<u8>> = None; thread::sleep(Duration::from_millis(1)); \
             ::std::thread::sleep(Duration::from_millis(1)); nap!(); let c = Condvar::new(); println!(\"{}\", c.family()) }\n",
        )],
    );
    program.lock();
    program
}

#[test]
fn a_crate_and_what_must_go_along_run_on_green_and_all_is_taken_back_to_the_byte() {
    let program = two_crates();
    let before = program.snapshot();

    let said = program.refused(&["patch", "outer"]);
    assert!(
        said.contains("inner 1.2.0: outer 1.0.0 depends on it, and it waits: std::"),
        "{said}"
    );
    assert!(said.contains("1 crate goes along"), "{said}");

    let said = program.patched(&["patch", "outer", "--dry-run"]);
    assert!(said.contains("+use {::green::io, std::io::Write"), "{said}");
    assert!(said.contains("+[patch.crates-io]"), "{said}");
    assert_eq!(program.snapshot(), before, "a dry run changes nothing");

    program.patched(&["patch", "outer", "--yes"]);
    // Three sleeps, one of them by a macro, and a line number that did not move.
    assert_eq!(
        program.run(),
        "green sleeps\ngreen sleeps\ngreen sleeps\ngreen\n7\n"
    );
    assert!(
        program
            .read("green-patched/outer-1.0.0/LICENSE")
            .contains("as you like")
    );
    for gone in ["outer-1.0.0/Cargo.lock", "outer-1.0.0/.cargo-checksum.json"] {
        assert!(!program.path("green-patched").join(gone).exists());
    }

    let after = program.snapshot();
    let said = program.patched(&["patch", "outer", "inner", "--yes"]);
    assert!(said.contains("nothing to do"), "{said}");
    let said = program.refused(&["patch", "outer", "--except", "nonesuch"]);
    assert!(said.contains("--except nonesuch"), "{said}");
    assert_eq!(program.snapshot(), after, "a second run changes nothing");

    program.patched(&["patch", "--undo"]);
    program.assert_is(&before);
}

#[test]
fn a_crate_that_is_added_later_goes_beside_the_others_and_an_exception_stays() {
    let program = two_crates();
    program.patched(&["patch", "outer", "--except", "inner"]);
    assert!(!program.path("green-patched/inner-1.2.0").exists());
    program.patched(&["patch", "inner"]);
    assert_eq!(
        program.run(),
        "green sleeps\ngreen sleeps\ngreen sleeps\ngreen\n7\n"
    );
    assert!(program.read("Cargo.toml").ends_with(
        "[patch.crates-io]\nouter = { path = \"green-patched/outer-1.0.0\" }\ninner = { path = \"green-patched/inner-1.2.0\" }\n"
    ));
}

#[test]
fn an_exception_that_leaves_nothing_out_is_told() {
    let program = two_crates();
    let told = |said: &str, name: &str| {
        let line = format!("--except {name} leaves nothing out: ");
        let told = said.lines().find_map(|said| said.strip_prefix(&line));
        told.map(str::to_owned)
    };
    // Inner is needed by outer, not the other way round.
    let said = program.patched(&["patch", "inner", "--dry-run", "--except", "outer"]);
    assert_eq!(told(&said, "outer").unwrap(), "it would not go along");
    let excepts = ["--except", "inner", "--except", "green-std"];
    let said = program.patched(&[&["patch", "outer", "--dry-run"], &excepts[..]].concat());
    assert_eq!(told(&said, "inner"), None, "{said}");
    assert!(told(&said, "green-std").is_some(), "{said}");
    program.patched(&["patch", "inner"]);
    let said = program.patched(&["patch", "outer", "--except", "inner"]);
    assert_eq!(told(&said, "inner").unwrap(), "it has a copy already");
}

#[test]
fn exported_macros_reach_green_from_a_crate_that_does_not_know_it() {
    let program = Program::new(
        "napping = \"1\"",
        "fn main() { napping::nap!(); napping::say!(\"a\"); }",
    );
    program.publish(
        "napping",
        "1.0.0",
        "",
        &[(
            "src/lib.rs",
            "#[macro_export]\nmacro_rules! nap { () => { std::thread::sleep(std::time::Duration::from_millis(1)) } }\n\
             #[macro_export]\nmacro_rules! say { ($x:expr) => {{ use std::{thread, time::Duration}; thread::sleep(Duration::ZERO); println!(\"{}\", $x) }} }\n",
        )],
    );
    program.lock();
    program.patched(&["patch", "napping"]);
    assert_eq!(program.run(), "green sleeps\ngreen sleeps\na\n");
}

#[test]
fn a_crate_with_unsafe_code_gets_shielded_waits() {
    let program = Program::new("sharp = \"1\"", "fn main() { sharp::f(); }");
    program.publish(
        "sharp",
        "1.0.0",
        "",
        &[("src/lib.rs", "pub fn f() { unsafe { g() } }\nunsafe fn g() { std::thread::sleep(std::time::Duration::ZERO) }\n")],
    );
    program.lock();
    let said = program.patched(&["patch", "sharp"]);
    assert!(said.contains("its waits are shielded"), "{said}");
    assert_eq!(program.run(), "shielded sleeps\n");
}

#[test]
fn two_versions_of_a_crate_get_two_patches() {
    let program = Program::with_two_versions();
    program.patched(&["patch", "twice@2.0.0"]);
    assert_eq!(program.run(), "green sleeps\n");
    program.patched(&["patch", "twice"]);
    assert_eq!(program.run(), "green sleeps\ngreen sleeps\n");
    program.patched(&["patch", "--undo"]);
    assert!(!program.read("Cargo.toml").contains("patch"));
}

#[test]
fn a_copy_keeps_the_versions_of_its_dependencies_that_the_lock_file_has() {
    for (chosen, other) in [("1", "2"), ("2", "1")] {
        let program = Program::new("chooser = \"1\"", "fn main() { chooser::f() }");
        let publish_library = |version: &str| {
            let text = format!("pub const VERSION: &str = \"{version}\";");
            let files = [("src/lib.rs", text.as_str())];
            program.publish("library", &format!("{version}.0.0"), "", &files);
        };
        program.publish(
            "chooser",
            "1.0.0",
            "[dependencies]\nlibrary = \">=1\"\n",
            &[(
                "src/lib.rs",
                "pub fn f() { std::thread::sleep(std::time::Duration::ZERO); println!(\"{}\", library::VERSION) }",
            )],
        );
        publish_library(chosen);
        program.lock();
        publish_library(other);
        let manifest = program.read("Cargo.toml") + &format!("library = \"{other}\"\n");
        program.write("Cargo.toml", &manifest);
        assert_eq!(program.run(), format!("{chosen}\n"));
        program.patched(&["patch", "chooser"]);
        assert_eq!(program.run(), format!("green sleeps\n{chosen}\n"));
    }
}

#[test]
fn what_green_itself_depends_on_is_copied_under_another_name() {
    let program = Program::with_a_crate_of_green();
    let before = program.snapshot();
    program.patched(&["patch", "user"]);
    program.patched(&["patch", "lazy"]);
    assert_eq!(program.run(), "green sleeps\ngreen sleeps\ngreen sleeps\n");
    program.patched(&["patch", "--undo"]);
    program.assert_is(&before);
}

#[test]
fn a_dependency_that_may_wait_for_the_disk_is_told_of_and_copied_if_asked_for() {
    let program = Program::new("outer = \"1\"", "fn main() { outer::f(); }");
    let sleep = "std::thread::sleep(std::time::Duration::ZERO);";
    program.publish(
        "outer",
        "1.0.0",
        "[dependencies]\nlister = \"1\"\n",
        &[(
            "src/lib.rs",
            &format!("pub fn f() {{ lister::f(); {sleep} }}"),
        )],
    );
    let list = "pub fn f() { std::fs::read_dir(\".\").unwrap(); }";
    program.publish("lister", "1.0.0", "", &[("src/lib.rs", list)]);
    program.lock();
    let said = program.patched(&["patch", "outer"]);
    let told =
        "lister 1.0.0 stays as it is: it may wait for the disk, std::fs::read_dir at src/lib.rs:1;";
    assert!(said.contains(told), "{said}");
    let note = "note: lister 1.0.0/src/lib.rs:1: std::fs::read_dir may wait for the disk";
    assert!(program.patched(&["check"]).contains(note));
    program.patched(&["patch", "lister"]);
    assert!(!program.patched(&["check"]).contains(note));
}

#[test]
fn a_new_version_that_no_copy_fits_is_an_error() {
    let program = two_crates();
    program.patched(&["patch", "outer", "--yes"]);
    program.publish(
        "outer",
        "2.0.0",
        "",
        &[("src/lib.rs", "pub fn work() -> u32 { 1 }")],
    );
    let manifest = program
        .read("Cargo.toml")
        .replace("outer = \"1\"", "outer = \"2\"");
    program.write("Cargo.toml", &manifest);
    let output = program.cargo(&["update", "--offline", "--workspace"]);
    assert!(output.status.success(), "{}", text(&output));
    let said = program.refused(&["patch", "inner"]);
    assert!(
        said.contains("the copy of outer 1.0.0 is not used"),
        "{said}"
    );
    assert!(said.contains("outer 2.0.0"), "{said}");
    program.patched(&["patch", "--undo", "outer@1.0.0"]);
    assert!(!program.path("green-patched").exists());
}

#[test]
fn bad_input_is_told_and_changes_nothing() {
    let program = two_crates();
    program.publish("plain", "1.0.0", "", &[("src/lib.rs", "pub fn f() {}")]);
    program.write(
        "near/Cargo.toml",
        "[package]\nname = \"near\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
    );
    program.write("near/src/lib.rs", "");
    let manifest = program.read("Cargo.toml") + "plain = \"1\"\nnear = { path = \"near\" }\n";
    program.write("Cargo.toml", &manifest);
    program.lock();
    for (crates, message) in [
        ("nonesuch", "nonesuch is not in the lock file"),
        ("outr", "outr is not in the lock file; outer is"),
        ("outer@9.0.0", "outer@9.0.0 is not in the lock file"),
        ("near", "near 0.1.0 comes from"),
        ("program", "program 0.1.0 is the program's own"),
        ("plain", "it names nothing of std that green has"),
    ] {
        let said = program.refused(&["patch", crates, "--yes"]);
        assert!(said.contains(message), "{said}");
    }
    for (except, message) in [
        (
            "innr",
            "--except innr: it is not in the lock file; inner is",
        ),
        (
            "inner@1.2.0",
            "--except inner@1.2.0: it is not in the lock file",
        ),
        ("outer", "outer is asked for, and left out by --except"),
    ] {
        let said = program.refused(&["patch", "outer", "--yes", "--except", except]);
        assert!(said.contains(message), "{said}");
    }

    let said = program.refused(&["patch", "outer", "--yes", "--into", "src"]);
    let told = "src is there and has no patched.toml: it is no folder of copies, and nothing in it is touched; --into names another";
    assert!(said.contains(told), "{said}");
    let said = program.refused(&["patch", "outer", "--yes", "--into", "none/copies"]);
    let told = "none, where the folder of the copies is to be; --into names another";
    assert!(said.contains(told), "{said}");

    let manifest = program.read("Cargo.toml")
        + "[patch.crates-io]\nouter = { path = \"registry/outer-1.0.0\" }\n";
    program.write("Cargo.toml", &manifest);
    program.lock();
    let said = program.refused(&["patch", "outer", "--yes"]);
    assert!(said.contains("outer 1.0.0 comes from"), "{said}");
}

#[test]
fn a_crate_that_binds_c_is_told_with_the_way_out() {
    let program = Program::new("curl = \"1\"", "fn main() {}");
    program.publish(
        "curl-sys",
        "1.0.0",
        "links = \"curl\"\nbuild = \"build.rs\"\n",
        &[("src/lib.rs", ""), ("build.rs", "fn main() {}")],
    );
    program.publish(
        "curl",
        "1.0.0",
        "[dependencies]\ncurl-sys = \"1\"\n",
        &[("src/lib.rs", NAP)],
    );
    program.lock();
    let told = "it binds curl, a library in C, which no copy changes: call what waits in it by green::blocking, or patch it by link";
    let said = program.refused(&["patch", "curl-sys"]);
    assert!(
        said.contains(&format!("curl-sys 1.0.0 cannot be copied: {told}")),
        "{said}"
    );
    let said = program.patched(&["patch", "curl"]);
    assert!(
        said.contains(&format!("curl-sys 1.0.0 stays as it is: {told}")),
        "{said}"
    );
}

#[test]
fn a_dry_run_shows_the_lock_file_that_cargo_will_write() {
    let program = two_crates();
    // Beside other dependencies, and alone.
    for (name, dependencies) in [
        ("early", "a = \"1\""),
        ("late", "z = \"1\""),
        ("both", "a = \"1\"\nz = \"1\""),
    ] {
        let manifest = format!("[dependencies]\n{dependencies}\n");
        program.publish(name, "1.0.0", &manifest, &[("src/lib.rs", NAP)]);
    }
    for name in ["a", "z"] {
        program.publish(name, "1.0.0", "", &[("src/lib.rs", "")]);
    }
    let manifest = program.read("Cargo.toml") + "early = \"1\"\nlate = \"1\"\nboth = \"1\"\n";
    program.write("Cargo.toml", &manifest);
    program.lock();
    let patch = ["patch", "outer", "early", "late", "both", "--yes"];
    for arguments in [&patch[..], &["patch", "--undo"]] {
        let said = program.patched(&[arguments, &["--dry-run"]].concat());
        let before = program.read("Cargo.lock");
        program.patched(arguments);
        let after = program.read("Cargo.lock");
        let diff = similar::TextDiff::from_lines(&before, &after);
        let diff = (diff.unified_diff())
            .header("a/Cargo.lock", "b/Cargo.lock")
            .to_string();
        assert!(!diff.is_empty() && said.contains(&diff), "{diff}\n{said}");
        assert!(!said.contains("Cargo.lock: "), "{said}");
    }
}

#[test]
fn a_dry_run_says_what_it_cannot_show_of_the_lock_file() {
    let program = Program::with_a_crate_of_green();
    let said = program.patched(&["patch", "lazy", "--dry-run"]);
    assert!(said.contains("+name = \"green-lazy\"\n+version = \"1.0.0\"\n+dependencies = [\n+ \"green-std\",\n+]\n"), "{said}");
    assert!(
        said.contains("Cargo.lock: cargo will have green-lazy where lazy 1.0.0 is depended on"),
        "{said}"
    );
    program.patched(&["patch", "lazy"]);
    let said = program.patched(&["patch", "--undo", "--dry-run"]);
    assert!(
        said.contains("Cargo.lock: cargo will have lazy 1.0.0 again where green-lazy is"),
        "{said}"
    );

    let program = Program::new("locks = \"1\"", "fn main() {}");
    let library = "pub static L: parking_lot::Mutex<u8> = parking_lot::const_mutex(1);";
    let manifest = "[dependencies]\nparking_lot = \"0.12\"\n";
    program.publish("parking_lot", "0.12.0", "", &[("src/lib.rs", "")]);
    program.publish("locks", "1.0.0", manifest, &[("src/lib.rs", library)]);
    program.lock();
    let said = program.patched(&["patch", "locks", "--dry-run"]);
    let told = "Cargo.lock: cargo will resolve what green-std needs for its features parking_lot";
    assert!(said.contains(told), "{said}");

    // The lock file has what any feature of the program needs.
    let program = Program::new(
        "sockets = \"1\"\n[features]\nmore = [\"sockets/socket2\"]",
        "fn main() {}",
    );
    let manifest = "[dependencies]\nsocket2 = { version = \"0.5\", optional = true }\n";
    program.publish("socket2", "0.5.10", "", &[("src/lib.rs", "")]);
    program.publish("sockets", "1.0.0", manifest, &[("src/lib.rs", NAP)]);
    program.lock();
    let said = program.patched(&["patch", "sockets", "--dry-run"]);
    assert!(
        said.contains("needs for its features socket2-0-5\n"),
        "{said}"
    );
}

#[test]
fn a_workspace_without_a_lock_that_fits_and_a_program_without_green_are_told() {
    let program = two_crates();
    std::fs::remove_file(program.path("Cargo.lock")).unwrap();
    let said = program.refused(&["patch", "outer"]);
    assert!(said.contains("no lock file"), "{said}");

    program.lock();
    let manifest = program.read("Cargo.toml") + "inner = \"1\"\n";
    program.write("Cargo.toml", &manifest);
    let said = program.refused(&["patch", "outer"]);
    let told = "error: the lock file does not fit the manifests, which were changed since: `cargo update --workspace`";
    assert!(said.contains(told) && !said.contains("--locked"), "{said}");
    let output = program.cargo(&["update", "--workspace", "--offline"]);
    assert!(output.status.success(), "{}", text(&output));
    program.patched(&["patch", "outer", "--dry-run"]);

    let manifest = program
        .read("Cargo.toml")
        .replace("green-std = { path = \"green\" }\n", "");
    program.write("Cargo.toml", &manifest);
    program.lock();
    let said = program.refused(&["patch", "outer", "--yes"]);
    assert!(said.contains("does not depend on green-std"), "{said}");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told() {
    let program = two_crates();
    // Nobody may make a file there, not even root.
    let said = program.refused(&["patch", "outer", "--yes", "--into", "Cargo.lock/copies"]);
    let folder = program.path("Cargo.lock");
    let told = format!("nothing can be written to {}", folder.display());
    assert!(said.contains(&told), "{said}");
}

#[test]
fn a_folder_that_is_not_below_the_program_s_is_told() {
    let program = two_crates();
    let elsewhere = tempfile::tempdir().unwrap();
    let absolute = elsewhere.path().join("copies");
    let absolute = absolute.to_str().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), program.path("link")).unwrap();
    let commands = [
        &["patch", "outer", "--yes"][..],
        &["patch", "--undo"],
        &["check"],
    ];
    for into in [
        "..",
        "../outside",
        "src/../..",
        "link/copies",
        ".",
        absolute,
    ] {
        for command in commands {
            let said = program.refused(&[command, &["--into", into]].concat());
            let told = format!("--into {into}: the folder of the copies has to lie below");
            assert!(said.contains(&told), "{said}");
        }
    }
    std::fs::remove_file(program.path("link")).unwrap();
    assert!(elsewhere.path().read_dir().unwrap().next().is_none());

    let before = program.snapshot();
    for into in ["src/../copies", program.path("copies").to_str().unwrap()] {
        program.patched(&["patch", "outer", "--yes", "--into", into]);
        assert!(
            program
                .read("Cargo.toml")
                .contains("path = \"copies/outer-1.0.0\"")
        );
        program.patched(&["patch", "--undo", "--into", "copies"]);
        program.assert_is(&before);
    }
}

#[test]
fn a_patch_that_cargo_refuses_is_rolled_back() {
    let program = Program::new("sockets = \"1\"", "fn main() {}");
    // The copy asks for conversions of green-std that this stand-in does not have.
    program.publish("socket2", "0.5.10", "", &[("src/lib.rs", "")]);
    let text = "pub fn f(_: std::net::TcpStream) {}";
    let manifest = "[dependencies]\nsocket2 = \"0.5\"\n";
    program.publish("sockets", "1.0.0", manifest, &[("src/lib.rs", text)]);
    program.lock();
    let said = program.refused(&["patch", "sockets"]);
    assert!(said.contains("socket2-0-5"), "{said}");
}

/// What the program prints of its green's feature, after `sockets` with that manifest was patched: with its own feature
/// `more` off and on.
fn conversions(manifest: &str, versions: &[&str]) -> (String, String) {
    let program = Program::new(
        "sockets = \"1\"\ngreen = { package = \"green-std\", path = \"green\" }\n[features]\nmore = [\"sockets/more\"]",
        "fn main() { println!(\"{}\", green::CONVERTS); }",
    );
    let dependencies = program.read("Cargo.toml");
    program.write(
        "Cargo.toml",
        &dependencies.replace("green-std = { path = \"green\" }\n", ""),
    );
    let green = program.read("green/Cargo.toml") + "[features]\nsocket2-0-5 = []\n";
    program.write("green/Cargo.toml", &green);
    let green = program.read("green/src/lib.rs")
        + "pub const CONVERTS: bool = cfg!(feature = \"socket2-0-5\");\n";
    program.write("green/src/lib.rs", &green);
    for version in versions {
        program.publish(
            "socket2",
            version,
            "[features]\nall = []\n",
            &[("src/lib.rs", "")],
        );
    }
    let library = "pub fn f(_: std::net::TcpStream) {}";
    program.publish("sockets", "1.0.0", manifest, &[("src/lib.rs", library)]);
    program.lock();
    program.patched(&["patch", "sockets"]);
    let more = program.cargo(&["run", "--quiet", "--offline", "--features", "more"]);
    (program.run(), text(&more))
}

#[test]
fn a_copy_asks_for_conversions_of_socket2_0_5_only_where_it_has_that() {
    let (no, yes) = ("false\n".to_owned(), "true\n".to_owned());
    let optional = "[dependencies]\nsocket2 = { version = \"0.5\", optional = true }\n[features]\n";
    for (manifest, versions, expected) in [
        (
            "[dependencies]\nsocket2 = \">=0.5, <0.7\"\n[features]\nmore = []\n",
            &["0.5.10", "0.6.1"][..],
            (&no, &no),
        ),
        (
            "[dependencies]\nsocket2 = \">=0.5, <0.7\"\n[features]\nmore = []\n",
            &["0.5.10"],
            (&yes, &yes),
        ),
        (
            "[dev-dependencies]\nsocket2 = \"0.5\"\n[features]\nmore = []\n",
            &["0.5.10"],
            (&no, &no),
        ),
        (
            &format!("{optional}more = [\"socket2\"]\n"),
            &["0.5.10"],
            (&no, &yes),
        ),
        (
            &format!("{optional}more = [\"dep:socket2\"]\n"),
            &["0.5.10"],
            (&no, &yes),
        ),
        (
            &format!("{optional}more = [\"socket2/all\"]\n"),
            &["0.5.10"],
            (&no, &yes),
        ),
        (
            &format!("{optional}more = [\"socket2/all\"]\nother = [\"dep:socket2\"]\n"),
            &["0.5.10"],
            (&no, &yes),
        ),
        (
            &format!("{optional}more = []\nother = [\"dep:socket2\"]\n"),
            &["0.5.10"],
            (&no, &no),
        ),
    ] {
        let (off, on) = conversions(manifest, versions);
        assert_eq!((&off, &on), expected, "{manifest}");
    }
}

#[test]
fn a_workspace_without_a_package_of_its_own_is_patched_at_its_root() {
    let program = Program::new("", "");
    program.publish("lazy", "1.0.0", "", &[("src/lib.rs", NAP)]);
    program.publish("napping", "1.0.0", "", &[("src/lib.rs", NAP)]);
    let green = program.read("green/Cargo.toml") + "lazy = \"1\"\n";
    program.write("green/Cargo.toml", &green);
    program.write(
        "Cargo.toml",
        "[workspace]\nmembers = [\"app\"]\nexclude = [\"green\"]\nresolver = \"3\"\n[workspace.dependencies]\nlazy = { version = \"1\" }\n",
    );
    program.write(
        "app/Cargo.toml",
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n\
         green-std = { path = \"../green\" }\nlazy.workspace = true\nnapping = \"1\"\n",
    );
    program.write("app/src/main.rs", "fn main() { lazy::f(); napping::f(); }");
    program.lock();
    let before = program.snapshot();
    program.patched(&["patch", "lazy", "napping"]);
    assert_eq!(program.run(), "green sleeps\ngreen sleeps\n");
    assert!(
        program
            .read("Cargo.toml")
            .contains("exclude = [\"green\", \"green-patched\"]")
    );
    program.patched(&["patch", "--undo"]);
    assert_eq!(program.snapshot(), before);
}

#[test]
fn a_file_that_is_no_rust_stays_as_it_is_and_is_told_of() {
    let program = Program::new("odd = \"1\"", "fn main() { odd::f(); }");
    program.publish(
        "odd",
        "1.0.0",
        "",
        &[("src/lib.rs", NAP), ("src/template.rs", "fn main() { $( }")],
    );
    std::fs::write(
        program.path("registry/odd-1.0.0/src/old.rs"),
        b"// \xe4rger",
    )
    .unwrap();
    program.lock();
    let said = program.patched(&["patch", "odd"]);
    assert!(
        said.contains("src/template.rs stays as it is: line 1: not Rust"),
        "{said}"
    );
    assert!(
        said.contains("src/old.rs stays as it is: invalid utf-8"),
        "{said}"
    );
    assert_eq!(program.run(), "green sleeps\n");
}
