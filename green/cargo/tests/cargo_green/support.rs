//! A program in a folder of its own, with a registry of crates made for it: nothing comes from the network.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A stand-in for green-std: it notes which of its names were called.
const GREEN: &str = r#"
pub mod thread {
    pub use std::thread::*;
    pub fn sleep(limit: std::time::Duration) { std::println!("green sleeps"); std::thread::sleep(limit); }
}
pub mod net {
    pub use std::net::*;
    #[derive(Debug)]
    pub struct TcpStream;
}
pub mod sync {
    pub use std::sync::*;
    #[derive(Debug, Default)]
    pub struct Condvar;
    impl Condvar { pub const fn new() -> Self { Condvar } pub fn family(&self) -> &'static str { "green" } }
}
pub mod shielded {
    pub mod thread {
        pub use std::thread::*;
        pub fn sleep(limit: std::time::Duration) { std::println!("shielded sleeps"); std::thread::sleep(limit); }
    }
    pub use super::sync;
}
pub mod io { pub use std::io::*; }
pub mod fs { pub use std::fs::*; }
pub use std::{eprint, eprintln, print, println, thread_local};
"#;

/// The library of a crate that sleeps.
pub const NAP: &str = "pub fn f() { std::thread::sleep(std::time::Duration::ZERO) }";

pub struct Program {
    folder: TempDir,
}

impl Program {
    /// A program with these dependencies, in the lines of a manifest, and this `main.rs`.
    pub fn new(dependencies: &str, main: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = Program { folder };
        program.write(
            ".cargo/config.toml",
            "[source.crates-io]\nreplace-with = \"made\"\n[source.made]\ndirectory = \"registry\"\n",
        );
        fs::create_dir(program.path("registry")).unwrap();
        program.write(
            "green/Cargo.toml",
            "[package]\nname = \"green-std\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\nname = \"green\"\n[dependencies]\n",
        );
        program.write("green/src/lib.rs", GREEN);
        program.write(
            "Cargo.toml",
            &format!(
                "# A comment.\n[package]\nname = \"program\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\ngreen-std = {{ path = \"green\" }}\n{dependencies}\n"
            ),
        );
        program.write("src/main.rs", main);
        program
    }

    /// The crates `lazy`, which green depends on itself, and `user`, which depends on it, sleep.
    pub fn with_a_crate_of_green() -> Self {
        let program = Program::new(
            "lazy = { version = \"1\", features = [\"std\"] }\nuser = \"1\"",
            "fn main() { lazy::f(); user::f(); }",
        );
        let features = "[features]\nstd = []\n";
        program.publish("lazy", "1.0.0", features, &[("src/lib.rs", NAP)]);
        let library = "pub fn f() { lazy::f(); std::thread::sleep(std::time::Duration::ZERO) }";
        program.publish(
            "user",
            "1.0.0",
            "[dependencies.lazy]\nversion = \"1\"\n",
            &[("src/lib.rs", library)],
        );
        let green = program.read("green/Cargo.toml") + "lazy = \"1\"\n";
        program.write("green/Cargo.toml", &green);
        program.lock();
        program
    }

    /// Two versions of the crate `twice`, which sleeps.
    pub fn with_two_versions() -> Self {
        let program = Program::new(
            "one = { package = \"twice\", version = \"1\" }\ntwo = { package = \"twice\", version = \"2\" }",
            "fn main() { one::f(); two::f(); }",
        );
        for version in ["1.0.0", "2.0.0"] {
            program.publish("twice", version, "", &[("src/lib.rs", NAP)]);
        }
        program.lock();
        program
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Puts a crate into the registry.
    pub fn publish(&self, name: &str, version: &str, manifest: &str, files: &[(&str, &str)]) {
        let folder = format!("registry/{name}-{version}");
        let edition = if manifest.contains("edition") {
            ""
        } else {
            "edition = \"2021\"\n"
        };
        let head = format!("[package]\nname = \"{name}\"\nversion = \"{version}\"\n{edition}");
        self.write(
            &format!("{folder}/Cargo.toml"),
            &format!("{head}{manifest}"),
        );
        for (file, text) in files {
            self.write(&format!("{folder}/{file}"), text);
        }
        let checksum = format!("{{\"files\":{{}},\"package\":\"{}\"}}", "0".repeat(64));
        self.write(&format!("{folder}/.cargo-checksum.json"), &checksum);
    }

    pub fn lock(&self) {
        let output = self.cargo(&["generate-lockfile", "--offline"]);
        assert!(output.status.success(), "{}", text(&output));
    }

    pub fn cargo(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("CARGO_TARGET_DIR", self.path("target"));
        clean(&mut command).output().unwrap()
    }

    /// Runs `cargo green` with these arguments.
    pub fn green(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-green"));
        command
            .arg("green")
            .args(arguments)
            .arg("--offline")
            .current_dir(self.folder.path());
        clean(&mut command).output().unwrap()
    }

    /// Runs `cargo green` and kills it as it begins its `nth` system call of that name; whether it came so far.
    pub fn killed(&self, call: &str, nth: usize, arguments: &[&str]) -> bool {
        let mut command = Command::new("strace");
        command
            .args(["-qq", "-o", "/dev/null", "-e"])
            .arg(format!("inject={call}:signal=SIGKILL:when={nth}"))
            .arg(env!("CARGO_BIN_EXE_cargo-green"))
            .arg("green")
            .args(arguments)
            .arg("--offline")
            .current_dir(self.folder.path());
        let output = clean(&mut command).output().unwrap();
        let killed = output.status.signal() == Some(9);
        assert!(killed || output.status.success(), "{}", text(&output));
        killed
    }

    /// What `cargo green` says, which must succeed.
    pub fn patched(&self, arguments: &[&str]) -> String {
        let output = self.green(arguments);
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    }

    /// What `cargo green` says, which must fail and change nothing.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let before = self.snapshot();
        let output = self.green(arguments);
        assert!(!output.status.success(), "{}", text(&output));
        assert_eq!(self.snapshot(), before);
        text(&output)
    }

    /// What the program prints.
    pub fn run(&self) -> String {
        let output = self.cargo(&["run", "--quiet", "--offline"]);
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    }

    /// Every file is what it was.
    #[track_caller]
    pub fn assert_is(&self, before: &[(PathBuf, Vec<u8>)]) {
        let readable = |files: &[(PathBuf, Vec<u8>)]| -> Vec<(PathBuf, String)> {
            let texts = files
                .iter()
                .map(|(path, bytes)| (path.clone(), String::from_utf8_lossy(bytes).into_owned()));
            texts.collect()
        };
        assert_eq!(readable(&self.snapshot()), readable(before));
    }

    /// Every file but for what cargo builds.
    pub fn snapshot(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    if path != self.path("target") {
                        folders.push(path);
                    }
                } else {
                    let bytes = fs::read(&path).unwrap();
                    files.push((path, bytes));
                }
            }
        }
        files.sort();
        files
    }
}

/// Whether [`killed`](Program::killed) works here.
pub fn can_kill() -> bool {
    let mut strace = Command::new("strace");
    let tried = strace.args(["-qq", "-o", "/dev/null", "true"]).output();
    let can = cfg!(target_arch = "x86_64") && tried.is_ok_and(|output| output.status.success());
    if !can {
        println!("skipped: strace traces nothing here");
    }
    can
}

/// Without what the cargo that runs the tests sets.
fn clean(command: &mut Command) -> &mut Command {
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command.env("CARGO", env!("CARGO"))
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
