//! Real crates of the registry, patched and run: twenty operations at once on one hub, and a storm of kills and limits.
//!
//! Their versions are those of `real_program/Cargo.lock`. Where they cannot be fetched the tests are skipped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use test_support::servers::Server;

use crate::support::text;

const DEPENDENCIES: &str = r#"
crossbeam-utils = "0.8"
filetime = "0.2"
lazy_static = "1.5"
memcache = { version = "0.17", default-features = false }
minreq = "2"
nats = "0.25"
once_cell = "1"
r2d2 = "0.8"
redis = { version = "0.27", default-features = false, features = ["keep-alive"] }
threadpool = "1.8"
tungstenite = "0.30"
ureq = { version = "2", default-features = false }
"#;

/// What is asked for; more goes along. nats reads the certificates of the system for each connection, by rustls-native-certs.
const PATCHED: &[&str] = &[
    "crossbeam-utils",
    "filetime",
    "lazy_static",
    "memcache",
    "minreq",
    "nats",
    "once_cell",
    "r2d2",
    "redis",
    "rustls-native-certs",
    "threadpool",
    "tungstenite",
    "ureq",
];

/// The folder of the programs in `real_program`, built with patched crates; `None`, with a word why, where they cannot be.
static PROGRAMS: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    if std::env::var("GREEN_TRIALS").as_deref() != Ok("full") {
        eprintln!("skipped: it builds real crates for some minutes; GREEN_TRIALS=full runs it");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let green = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let manifest = format!(
        "[package]\nname = \"real\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n\
         green-std = {{ path = \"{}\", default-features = false }}\n{DEPENDENCIES}",
        green.display()
    );
    std::fs::create_dir_all(root.join("src/bin")).unwrap();
    for (path, text) in [
        ("Cargo.toml", &*manifest),
        ("Cargo.lock", include_str!("real_program/Cargo.lock")),
        (
            "src/bin/operations.rs",
            include_str!("real_program/operations.rs"),
        ),
        ("src/bin/storm.rs", include_str!("real_program/storm.rs")),
    ] {
        std::fs::write(root.join(path), text).unwrap();
    }
    let fetched = cargo(root, &["fetch"]);
    if let Err(error) = fetched {
        eprintln!("skipped: the crates cannot be fetched: {error}");
        return None;
    }
    let copies = Command::new(env!("CARGO_BIN_EXE_cargo-green"))
        .args(["green", "patch", "--yes", "--offline"])
        .args(PATCHED)
        .env("CARGO", env!("CARGO"))
        .current_dir(root)
        .output()
        .unwrap();
    assert!(copies.status.success(), "{}", text(&copies));
    cargo(root, &["build", "--offline"]).unwrap();
    Some(target().join("debug"))
});

/// The lines that a program prints, which must end well within a minute: what each is about, and figures.
fn run(program: &Path, arguments: &[String], hubs: &str) -> Vec<(String, Vec<u64>)> {
    let ran = Command::new("timeout")
        .arg("60")
        .arg(program)
        .args(arguments)
        .env("GREEN_HUBS", hubs)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", text(&ran));
    let said = String::from_utf8(ran.stdout).unwrap();
    println!("{said}");
    let lines = said.lines().map(|line| {
        let mut words = line.split(' ').map(str::to_owned);
        let name = words.next().unwrap();
        (name, words.map(|word| word.parse().unwrap()).collect())
    });
    lines.collect()
}

/// How programs are told of the servers that run.
fn arguments(servers: &[(&str, &Option<Server>)]) -> Vec<String> {
    let running = servers
        .iter()
        .filter_map(|(name, server)| Some(format!("{name}={}", server.as_ref()?.port)));
    running.collect()
}

#[test]
fn twenty_operations_of_crates_that_know_nothing_of_green_threads_wait_at_once_on_one_hub() {
    let Some(programs) = &*PROGRAMS else {
        return;
    };
    let (redis, memcached, nats) = (Server::redis(), Server::memcached(), Server::nats());
    let servers = [("redis", &redis), ("memcache", &memcached), ("nats", &nats)];
    let arguments = arguments(&servers);
    let said = run(&programs.join("operations"), &arguments, "1");
    assert_eq!(said.len(), 5 + arguments.len(), "{said:?}");
    for (name, figures) in said {
        let [right, took, longest, spared] = figures[..] else {
            panic!("{name} {figures:?}");
        };
        assert_eq!((right, spared), (20, 10), "{name}");
        // One after another they would take 8 s, and every answer would hold the hub for 400 ms.
        let most = match &*name {
            // Seven answers each.
            "nats" => 28_000,
            // Four answers each, and a pool of five: four turns.
            "memcache" => 16_000,
            _ => 4000,
        };
        assert!(took < most, "{name}: {took} ms");
        // Less than one answer's delay: on a slow machine a turn takes 100 ms by itself.
        assert!(longest < 350, "{name}: {longest} ms");
    }
}

#[test]
fn crates_with_unsafe_code_bear_a_storm_of_kills_and_limits() {
    let Some(programs) = &*PROGRAMS else {
        return;
    };
    let (memcached, nats) = (Server::memcached(), Server::nats());
    let servers = arguments(&[("memcache", &memcached), ("nats", &nats)]);
    for hubs in ["1", "2"] {
        let arguments = [&["20".to_owned()][..], &servers].concat();
        let said = run(&programs.join("storm"), &arguments, hubs);
        assert_eq!(said.len(), 9 + 2 + servers.len(), "{said:?}");
        for (name, figures) in said {
            assert_ne!(figures, [0], "{name}");
        }
    }
}

/// What was built stays from one run to the next.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("real")
}

/// Has cargo do something in `folder`; what it says if it fails.
fn cargo(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .output()
        .unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(text(&output))
    }
}
