//! Whole programs written for std, with every `std::` made `green::` and nothing else changed.
//!
//! Each of `programs/` is built and run as it stands and so changed; both must do the same. The settings of clippy that
//! the guide offers must find each use of std that would block a hub in the first, and nothing in the second.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

const ABORTING: &str = include_str!("aborting.rs");
const SETTINGS: &str = include_str!("../../green/guide/clippy.toml");

/// A package of a user's, with each program twice: as `std_NAME` and as `green_NAME`.
struct Package {
    folder: PathBuf,
    programs: Vec<String>,
}

static PACKAGE: LazyLock<Package> = LazyLock::new(|| {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("whole_programs");
    let bins = folder.join("src/bin");
    fs::create_dir_all(&bins).unwrap();
    let green = top.join("green");
    let manifest = format!(
        "[package]\nname = \"whole-programs\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\ngreen = {{ package = \"green-std\", path = {green:?}, default-features = false, features = [\"toolkit\"] }}\n\n\
         [profile.dev]\ndebug = false\n\n\
         [profile.aborting]\ninherits = \"dev\"\npanic = \"abort\"\n"
    );
    write(&folder.join("Cargo.toml"), &manifest);
    write(&folder.join("clippy.toml"), SETTINGS);
    fs::copy(top.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();

    let (mut programs, mut written) = (Vec::new(), BTreeSet::new());
    let mut write_bin = |name: String, text: &str| {
        let path = bins.join(name);
        write(&path, text);
        written.insert(path);
    };
    for program in fs::read_dir(top.join("tests/whole_programs/programs")).unwrap() {
        let program = program.unwrap().path();
        let name = program.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&program).unwrap();
        write_bin(format!("std_{name}.rs"), &text);
        write_bin(format!("green_{name}.rs"), &swapped(&text));
        programs.push(name);
    }
    for (name, text) in [("aborting", ABORTING), ("forgotten", FORGOTTEN)] {
        write_bin(format!("{name}.rs"), text);
    }
    // What an earlier run left may have other programs.
    for program in fs::read_dir(&bins).unwrap() {
        let program = program.unwrap().path();
        if !written.contains(&program) {
            fs::remove_file(program).unwrap();
        }
    }
    // An example, so that nothing but its test builds it.
    fs::create_dir_all(folder.join("examples")).unwrap();
    write(&folder.join("examples/refused.rs"), REFUSED);
    Package { folder, programs }
});

/// Leaves a file alone that is so already: cargo builds anew what is younger than its last build.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return;
    }
    fs::write(path, text).unwrap();
}

/// `s/\bstd::/green::/`
fn swapped(text: &str) -> String {
    let mut swapped = String::new();
    let mut rest = text;
    while let Some(place) = rest.find("std::") {
        let (before, after) = rest.split_at(place);
        let within_a_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        swapped += before;
        swapped += if within_a_word { "std::" } else { "green::" };
        rest = &after["std::".len()..];
    }
    swapped + rest
}

impl Package {
    fn cargo(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO"))
            .args(arguments)
            .arg("--offline")
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .output()
            .unwrap()
    }
}

#[test]
fn a_program_does_the_same_with_green_for_std_everywhere() {
    let built = PACKAGE.cargo(&["build"]);
    assert!(built.status.success(), "{}", text(&built.stderr));
    assert!(PACKAGE.programs.len() >= 8);
    for name in &PACKAGE.programs {
        let [of_std, of_green] = ["std", "green"].map(|library| {
            let program = format!("target/debug/{library}_{name}");
            Command::new(PACKAGE.folder.join(program)).output().unwrap()
        });
        assert!(!of_std.stdout.is_empty(), "{name}: {of_std:?}");
        assert_eq!(text(&of_green.stdout), text(&of_std.stdout), "{name}");
        assert_eq!(text(&of_green.stderr), text(&of_std.stderr), "{name}");
        assert_eq!(of_green.status, of_std.status, "{name}");
    }
}

#[test]
fn programs_run_where_a_panic_aborts_but_kills_and_limits_are_refused() {
    let names = ["echo", "workers", "children"];
    let (std, green) = (
        names.map(|name| format!("std_{name}")),
        names.map(|name| format!("green_{name}")),
    );
    let mut build = vec!["build", "--profile", "aborting", "--bin", "aborting"];
    for program in std.iter().chain(&green) {
        build.extend(["--bin", program]);
    }
    let built = PACKAGE.cargo(&build);
    assert!(built.status.success(), "{}", text(&built.stderr));
    let run = |name: &str| {
        let program = format!("target/aborting/{name}");
        Command::new(PACKAGE.folder.join(program)).output().unwrap()
    };
    for (std, green) in std.iter().zip(&green) {
        let (of_std, of_green) = (run(std), run(green));
        assert_eq!(text(&of_green.stdout), text(&of_std.stdout), "{std}");
        assert_eq!(of_green.status, of_std.status, "{std}");
    }
    let aborted = run("aborting");
    assert_eq!(text(&aborted.stdout), "slept\n", "{aborted:?}");
    assert!(text(&aborted.stderr).contains("on purpose"), "{aborted:?}");
    assert_eq!(aborted.status.signal(), Some(libc::SIGABRT), "{aborted:?}");
}

#[test]
fn the_settings_of_clippy_find_every_use_of_std_and_none_of_green() {
    let checked = PACKAGE.cargo(&["clippy", "--message-format", "short"]);
    let report = text(&checked.stderr);
    assert!(checked.status.success(), "{report}");
    let in_file = |file: &str| {
        let found = report.lines().filter(|line| line.contains("a disallowed"));
        found.filter(|line| line.contains(file)).count()
    };
    for name in &PACKAGE.programs {
        assert!(in_file(&format!("std_{name}.rs")) > 0, "{name}: {report}");
        assert_eq!(in_file(&format!("green_{name}.rs")), 0, "{name}: {report}");
    }
    // What clippy says of a name that std has not.
    assert!(!report.contains("clippy.toml"), "{report}");
    for (number, line) in FORGOTTEN.lines().enumerate() {
        let place = format!("forgotten.rs:{}:", number + 1);
        assert_eq!(
            in_file(&place) > 0,
            line.contains("// forgotten"),
            "{line}: {report}"
        );
    }
}

/// A handler that says what it has no business to say.
const REFUSED: &str = "\
fn main() {
    let listener = green::listen(\"127.0.0.1:0\").unwrap();
    green::serve(listener, |_, _| \"done\", 10).unwrap();
}
";

#[test]
fn a_handler_that_serve_cannot_take_is_told_what_it_may_return() {
    let checked = PACKAGE.cargo(&["check", "--example", "refused"]);
    let said = text(&checked.stderr);
    assert!(!checked.status.success(), "{said}");
    for words in [
        "a handler of connections cannot return `&str`",
        "a handler returns nothing, `io::Result<()>` (an error ends its connection and is logged), or `Result<(), StopServe>`",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

/// What somebody may forget who changes imports by hand, and the compiler lets pass.
const FORGOTTEN: &str = "\
use std::net::ToSocketAddrs as _;

std::thread_local! { // forgotten
    static NUMBER: u32 = const { 1 };
}

fn main() {
    std::thread::sleep(std::time::Duration::ZERO); // forgotten
    let lock = std::sync::Mutex::new(1); // forgotten
    println!(\"{}\", lock.lock().unwrap()); // forgotten
    drop((\"127.0.0.1\", 80).to_socket_addrs()); // forgotten
    drop(std::fs::read(\"/dev/null\")); // forgotten
    drop(std::process::Command::new(\"true\").status()); // forgotten
    drop(std::io::stdin().lock()); // forgotten
    NUMBER.with(|_| ());
    let _: std::sync::Arc<u32> = std::sync::Arc::new(std::env::args().count() as u32);
}
";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
