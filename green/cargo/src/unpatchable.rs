//! Crates of which a copy would be of no use, and the way out.

use cargo_metadata::Package;

use crate::program::is_proc_macro;

/// Crates with an event loop of their own, which holds the hub that runs it.
const EVENT_LOOPS: &[&str] = &[
    "async-io",
    "async-std",
    "compio",
    "glommio",
    "io-uring",
    "mio",
    "monoio",
    "polling",
    "smol",
    "tokio",
    "tokio-uring",
];

/// Crates that compute, or block, on OS threads of their own.
const COMPUTING: &[&str] = &["blocking", "rayon", "rayon-core"];

/// Crates whose names green has itself: those who use them are rewritten.
const OURS: &[(&str, &str)] = &[
    ("crossbeam-channel", "green::channel"),
    ("parking_lot", "green::parking_lot"),
];

/// What stands beneath the sockets of both libraries.
const BENEATH: &[&str] = &["libc", "nix", "rustix", "socket2"];

/// Why `package` cannot be made green by a copy of its source.
pub fn why(package: &Package) -> Option<String> {
    let name = package.name.as_str();
    if is_proc_macro(package) {
        return Some("it runs in the compiler".into());
    }
    if EVENT_LOOPS.contains(&name) {
        return Some(
            "it has an event loop of its own; call what stands on it by green::blocking".into(),
        );
    }
    if COMPUTING.contains(&name) {
        return Some(
            "it works on OS threads of its own, which must stay such; call it by green::blocking"
                .into(),
        );
    }
    if BENEATH.contains(&name) {
        return Some("it stands beneath std's sockets and green's alike".into());
    }
    if let Some((_, ours)) = OURS.iter().find(|(known, _)| *known == name) {
        return Some(format!("crates that use it get {ours} in its place"));
    }
    None
}

pub fn is_event_loop(package: &Package) -> bool {
    EVENT_LOOPS.contains(&package.name.as_str())
}

/// Event loops that wait by a call of the C library, which `green-monkey` reaches. Others call the kernel by themselves.
const HOOKED_LOOPS: &[&str] = &["mio", "tokio"];

pub fn is_hooked_loop(package: &Package) -> bool {
    HOOKED_LOOPS.contains(&package.name.as_str())
}

/// Libraries in C, by the key `links`, that compute and do not wait.
const COMPUTING_IN_C: &[&str] = &[
    "aws_lc",
    "bz2",
    "brotli",
    "lz4",
    "lzma",
    "openssl",
    "rayon-core",
    "ring_core",
    "z",
    "zstd",
];

/// If `package` binds a library in C that may wait: what to do about it.
pub fn in_c(package: &Package) -> Option<String> {
    let library = package.links.as_ref()?;
    // Versions may stand behind the name.
    let computes = COMPUTING_IN_C
        .iter()
        .any(|known| library.starts_with(known));
    (!computes).then(|| {
        format!(
            "it binds {library}, a library in C, which no copy changes: call what waits in it by green::blocking, or patch it by link, with the package green-monkey"
        )
    })
}
