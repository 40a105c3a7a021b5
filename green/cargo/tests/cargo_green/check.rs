//! `cargo green check` on programs made for it.

use crate::support::{Program, text};

fn found(program: &Program) -> (bool, String) {
    let output = program.green(&["check"]);
    (output.status.success(), text(&output))
}

#[test]
fn std_calls_in_the_program_s_own_code_are_listed_with_file_and_line() {
    let program = Program::new(
        "",
        "use std::thread;\nuse std::{io, sync::{Arc, Mutex}};\nfn main() {\n    let e: io::Error;\n    thread::sleep(d);\n    \
         std::fs::read(p);\n    println!();\n    let m = Mutex::new(1);\n    // cargo-green: allow, the start of the program\n    \
         std::process::Command::new(x);\n}\n#[test]\nfn t() { std::fs::read(p); }\n#[cfg(test)]\nmod tests { use std::net::TcpStream; }\n",
    );
    program.write("tests/t.rs", "use std::net::TcpStream;");
    program.lock();
    let (clean, said) = found(&program);
    assert!(!clean);
    assert_eq!(
        said,
        "error: src/main.rs:2: std::sync::Mutex: use green::sync::Mutex\n\
         error: src/main.rs:5: std::thread::sleep: use green::thread::sleep\n\
         error: src/main.rs:6: std::fs::read: use green::fs::read\n\
         3 errors, 0 notes\n"
    );
}

#[test]
fn a_clean_program_passes() {
    let program = Program::new(
        "",
        "use green::thread;\nfn main() { thread::spawn(|| ()); }\n",
    );
    program.lock();
    assert_eq!(found(&program), (true, "0 errors, 0 notes\n".to_owned()));
}

/// `waits` waits, `asks` looks a name up, `locks` locks, `loops` stands on mio.
fn with_dependencies() -> Program {
    let program = Program::new(
        "waits = \"1\"\nasks = \"1\"\nlocks = \"1\"\nloops = \"1\"",
        "fn main() {}\n",
    );
    let waits = "use std::{\n    sync::Condvar,\n};\npub fn f(c: &Condvar) { c.notify_one() }\n";
    program.publish("waits", "1.0.0", "", &[("src/lib.rs", waits)]);
    let asks = "use std::net::ToSocketAddrs;\npub fn f() { \"a:1\".to_socket_addrs().ok(); }\n";
    program.publish("asks", "1.0.0", "", &[("src/lib.rs", asks)]);
    let locks = "#[cfg(windows)]\nfn g() { std::thread::park() }\npub static L: std::sync::Mutex<u8> = std::sync::Mutex::new(1);\n";
    program.publish(
        "locks",
        "1.0.0",
        "links = \"locks\"\nbuild = \"build.rs\"\n",
        &[("src/lib.rs", locks), ("build.rs", "fn main() {}")],
    );
    program.publish(
        "loops",
        "1.0.0",
        "[dependencies]\nmio = \"1\"\n",
        &[("src/lib.rs", "")],
    );
    program.publish(
        "mio",
        "1.0.0",
        "",
        &[("src/lib.rs", "pub fn f() { std::thread::park() }")],
    );
    program.lock();
    program
}

#[test]
fn dependencies_that_wait_or_loop_are_errors_and_those_that_may_are_notes() {
    let program = with_dependencies();
    let (clean, said) = found(&program);
    assert!(!clean);
    for line in [
        "error: waits 1.0.0/src/lib.rs:4: std::sync::Condvar waits, and its hub with it: `cargo green patch waits` (used by program 0.1.0)",
        "note: asks 1.0.0/src/lib.rs:2: a look-up of a name there holds the hub: `cargo green patch asks` if it is called (used by program 0.1.0)",
        "error: mio 1.0.0: it has an event loop of its own; call what stands on it by green::blocking (used by loops 1.0.0)",
        "note: locks 1.0.0/src/lib.rs:3: std::sync::Mutex is std's",
        "note: locks 1.0.0: it binds locks, a library in C, which no copy changes: call what waits in it by green::blocking, or \
         patch it by link",
        "2 errors, 3 notes",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
}

#[test]
fn what_the_hooks_answer_is_no_error_where_they_are_linked() {
    let program = with_dependencies();
    program.publish(
        "green-monkey",
        "0.1.0",
        "",
        &[("src/lib.rs", "pub fn f() { std::thread::park() }")],
    );
    let disk = "pub fn f(l: std::sync::Mutex<u8>) { std::fs::read(\".\"); std::thread::park() }";
    program.publish("disk", "1.0.0", "", &[("src/lib.rs", disk)]);
    program.publish(
        "polling",
        "3.0.0",
        "",
        &[("src/lib.rs", "pub fn f() { std::thread::park() }")],
    );
    let manifest = program.read("Cargo.toml");
    let more = "green-monkey = { version = \"0.1\", optional = true }\ndisk = \"1\"\npolling = { version = \"3\", optional = true }\n\
                [features]\nraw = [\"dep:polling\"]\nlinked = [\"dep:green-monkey\"]\n";
    program.write("Cargo.toml", &(manifest + more));
    program.write(
        "src/main.rs",
        "fn main() {\n    std::thread::sleep(d);\n    std::fs::read(p);\n    std::io::stdin();\n    spin::Mutex::new(1);\n}\n",
    );
    program.lock();
    let said = text(&program.green(&["check"]));
    assert!(!said.contains("hooked:"), "{said}");
    let output = program.green(&["check", "--features", "linked,raw"]);
    assert!(!output.status.success());
    let said = text(&output);
    for line in [
        "error: src/main.rs:3: std::fs::read: use green::fs::read",
        "error: src/main.rs:5: spin::Mutex::new",
        "error: polling 3.0.0: it has an event loop of its own",
        "note: disk 1.0.0/src/lib.rs:1: std::fs::read may wait for the disk",
        "hooked: src/main.rs:2: std::thread::sleep",
        "hooked: src/main.rs:4: std::io::stdin",
        "hooked: disk 1.0.0/src/lib.rs:1: std::thread::park waits",
        "hooked: mio 1.0.0: it has an event loop of its own",
        "hooked: waits 1.0.0/src/lib.rs:4: std::sync::Condvar waits",
        "hooked: asks 1.0.0/src/lib.rs:2: a look-up of a name",
        "hooked: locks 1.0.0/src/lib.rs:3: std::sync::Mutex is std's",
        "hooked: locks 1.0.0: it binds locks",
        "3 errors, 1 note, 8 that green-monkey answers once monkey_patch(Patch::all()) was called",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    program.write("src/main.rs", "fn main() { std::thread::sleep(d); }\n");
    let said = program.patched(&["check", "--features", "linked"]);
    assert!(said.contains("0 errors, 1 note, 7 that"), "{said}");
    let said = program.refused(&["patch", "green-monkey", "--features", "linked"]);
    assert!(said.contains("green-monkey is green itself"), "{said}");
}

#[test]
fn what_was_patched_or_is_allowed_is_no_error_any_more() {
    let program = with_dependencies();
    program.patched(&["patch", "waits", "asks", "locks"]);
    let manifest = program.read("Cargo.toml").replace(
        "[dependencies]",
        "[package.metadata.green]\nallow = [\"mio\"]\n\n[dependencies]",
    );
    program.write("Cargo.toml", &manifest);
    let (clean, said) = found(&program);
    assert!(clean, "{said}");
}

#[test]
fn what_metadata_says_that_is_not_understood_or_names_nothing_is_an_error() {
    let program = with_dependencies();
    let manifest = program.read("Cargo.toml");
    for (table, message) in [
        (
            "green = { allows = [\"mio\"] }",
            "unknown field `allows`, expected `allow`",
        ),
        (
            "green = { allow = \"mio\" }",
            "invalid type: string \"mio\", expected a sequence",
        ),
        (
            "green = { allow = [1] }",
            "invalid type: integer `1`, expected a string",
        ),
        ("green = \"mio\"", "invalid type: string \"mio\", expected"),
        (
            "green = { allow = [\"wait\", \"xyz\"] }",
            ".allow: wait is not in the lock file; waits is\n",
        ),
        (
            "green = { allow = [\"wait\", \"xyz\"] }",
            ".allow: xyz is not in the lock file\n",
        ),
        (
            "green = { allow = [\"mio@1\"] }",
            ".allow: mio@1 is not in the lock file",
        ),
    ] {
        let table = format!("\n[package.metadata]\n{table}\n");
        program.write("Cargo.toml", &(manifest.clone() + &table));
        let said = program.refused(&["check"]);
        assert!(said.contains(message), "{said}");
        let place = "Cargo.toml: package.metadata.green";
        assert!(said.contains(place), "{said}");
    }
    let table = "\n[workspace.metadata.green]\nallow = [\"mio\", 1]\n";
    program.write("Cargo.toml", &(manifest.clone() + table));
    let said = program.refused(&["patch", "waits"]);
    let place = "Cargo.toml: workspace.metadata.green";
    assert!(said.contains(place), "{said}");
    let fine = "\n[workspace.metadata.green]\nallow = [\"mio\"]\n[package.metadata]\ngreen = { allow = [] }\nother = 1\n";
    program.write("Cargo.toml", &(manifest + fine));
    program.patched(&["patch", "waits", "asks", "locks"]);
    program.patched(&["check"]);
}

#[test]
fn a_second_version_beside_a_copy_and_a_copy_that_is_not_used_are_errors() {
    let program = Program::new("waits = \"1\"", "fn main() {}\n");
    for version in ["1.0.0", "2.0.0"] {
        program.publish(
            "waits",
            version,
            "",
            &[("src/lib.rs", "pub fn f() { std::thread::park() }")],
        );
    }
    program.lock();
    program.patched(&["patch", "waits"]);
    let manifest = program.read("Cargo.toml");
    program.write(
        "Cargo.toml",
        &manifest.replace(
            "waits = \"1\"",
            "waits = \"1\"\nnew = { package = \"waits\", version = \"2\" }",
        ),
    );
    program.lock();
    let (clean, said) = found(&program);
    assert!(!clean);
    assert!(
        said.contains("error: waits 2.0.0: it is there beside the copy of 1.0.0"),
        "{said}"
    );

    program.write(
        "Cargo.toml",
        &manifest.replace("waits = \"1\"", "waits = \"2\""),
    );
    program.lock();
    let (clean, said) = found(&program);
    assert!(!clean);
    assert!(
        said.contains("error: Cargo.toml: the copy of waits 1.0.0 is not used"),
        "{said}"
    );
}

#[test]
fn calls_of_c_and_of_socket2_foreign_locks_and_globs_of_std_are_found() {
    let program = Program::new(
        "",
        "use std::*;\nuse socket2::Socket;\nuse parking_lot::Mutex;\nfn main() {\n    unsafe { libc::poll(p, 1, 1) };\n    \
         let socket = Socket::new(d, t, None);\n    socket.connect_timeout(&a, t);\n    once_cell::sync::Lazy::new(f);\n}\n",
    );
    program.lock();
    let (clean, said) = found(&program);
    assert!(!clean);
    for line in [
        "error: src/main.rs:1: std::*: what it brings is std's",
        "error: src/main.rs:3: parking_lot::Mutex: use green::parking_lot::Mutex, with the feature parking_lot",
        "error: src/main.rs:5: libc::poll holds its hub",
        "error: src/main.rs:7: .connect_timeout() of socket2 holds its hub",
        "note: src/main.rs:5: unsafe code",
        "note: src/main.rs:8: once_cell::sync::Lazy::new: if the first use waits",
        "4 errors, 2 notes",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
}
