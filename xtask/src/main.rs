//! The repository's own commands, on any machine with Rust and a C compiler.
//!
//! - `cargo tour` runs the tour: servers, thousands of connections, every way a peer can go.
//! - `cargo suite` runs every test, several test programs at a time; so with several `--test` and `--lib`. One, and what else
//!   selects targets, runs as `cargo test` would run it.
//!
//! What follows on the command line goes to the program, or to `cargo test`.
//!
//! Both need OpenSSL's headers, since TLS stands on them, and cargo cannot choose by what a machine has. So this
//! looks for them, in this order: by pkg-config; where the C compiler finds them; by installing Debian's package, as root;
//! by building OpenSSL from source (cargo feature `vendored`), which needs perl and make and takes some minutes once.

mod suite;

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use suite::Selection;

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let command = arguments.next();
    let rest: Vec<OsString> = arguments.collect();
    let done = match command.as_ref().and_then(|command| command.to_str()) {
        Some("tour") => tour(&rest),
        Some("suite") => suite(&rest),
        Some(suite::RUNNER) if rest.len() > 1 => {
            suite::note(Path::new(&rest[0]), &rest[1..]).map(|()| ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("usage: cargo tour | cargo suite");
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("cannot run it: {error}");
        ExitCode::FAILURE
    })
}

fn tour(arguments: &[OsString]) -> io::Result<ExitCode> {
    let Some(openssl) = found_openssl() else {
        return Ok(ExitCode::FAILURE);
    };
    let mut tour = cargo(
        &openssl,
        &[
            "run",
            "--release",
            "--package",
            "green-std",
            "--example",
            "tour",
        ],
    );
    if !arguments.is_empty() {
        tour.arg("--").args(arguments);
    }
    tour.status().map(exit_code)
}

fn suite(arguments: &[OsString]) -> io::Result<ExitCode> {
    let Some(openssl) = found_openssl() else {
        return Ok(ExitCode::FAILURE);
    };
    let test = || {
        let mut test = cargo(&openssl, &["test", "--workspace"]);
        // Most tests wait rather than compute.
        if env::var_os("RUST_TEST_THREADS").is_none() {
            let processors = std::thread::available_parallelism().map_or(2, usize::from);
            test.env("RUST_TEST_THREADS", (2 * processors).to_string());
        }
        test
    };
    match Selection::of(arguments) {
        Selection::Other => test().args(arguments).status().map(exit_code),
        selection => suite::run(test, arguments, &selection),
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| code.try_into().ok());
    ExitCode::from(code.unwrap_or(1))
}

/// Cargo in the repository, with this OpenSSL.
fn cargo(openssl: &OpenSsl, arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(repository()).args(arguments);
    // What `cargo run` says of this package would have build scripts run anew, and all that stands on them be built again.
    for (name, _) in env::vars_os() {
        let said = name.to_string_lossy();
        if said.starts_with("CARGO_PKG_") || said.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    match openssl {
        OpenSsl::Found => {}
        OpenSsl::At { include, lib } => {
            cargo
                .env("OPENSSL_INCLUDE_DIR", include)
                .env("OPENSSL_LIB_DIR", lib);
        }
        OpenSsl::Vendored => {
            cargo.args(["--features", "green-std/vendored"]);
        }
    }
    cargo
}

/// Where OpenSSL comes from; nothing, and a word about it, if it is to be had nowhere.
fn found_openssl() -> Option<OpenSsl> {
    let openssl = openssl();
    match openssl {
        Some(OpenSsl::Vendored) => {
            eprintln!("OpenSSL's headers are not here: building OpenSSL from source, once.");
        }
        Some(_) => {}
        None => eprintln!(
            "TLS needs OpenSSL: install its headers and pkg-config (Debian: apt-get install \
             libssl-dev pkg-config), or perl and make to have it built from source."
        ),
    }
    openssl
}

/// The folder above this package, as cargo says at run time: a build may have been moved since.
fn repository() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from);
    here.join("..")
}

/// Where OpenSSL comes from.
enum OpenSsl {
    /// The build finds it by itself.
    Found,
    /// Headers and library are there, but no pkg-config to say so.
    At { include: PathBuf, lib: PathBuf },
    /// To be built from source.
    Vendored,
}

fn openssl() -> Option<OpenSsl> {
    let said = ["OPENSSL_DIR", "OPENSSL_LIB_DIR"];
    if said.iter().any(|name| env::var_os(name).is_some()) || pkg_config_knows() {
        return Some(OpenSsl::Found);
    }
    if let Some(found) = compiler_knows() {
        return Some(found);
    }
    if install() && pkg_config_knows() {
        return Some(OpenSsl::Found);
    }
    if succeeds(&["perl", "-MFindBin", "-MIPC::Cmd", "-e", "1"]) && succeeds(&["make", "--version"])
    {
        return Some(OpenSsl::Vendored);
    }
    None
}

fn pkg_config_knows() -> bool {
    succeeds(&["pkg-config", "--exists", "openssl >= 1.1.1"])
}

/// Asks the C compiler for the library; Debian keeps the headers in /usr/include.
fn compiler_knows() -> Option<OpenSsl> {
    let include = Path::new("/usr/include");
    if !include.join("openssl/ssl.h").exists() {
        return None;
    }
    let output = Command::new("cc")
        .arg("-print-file-name=libssl.so")
        .output()
        .ok()?;
    let library = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    // An answer without a folder means that it was not found.
    let lib = library.canonicalize().ok()?.parent()?.to_owned();
    Some(OpenSsl::At {
        include: include.to_owned(),
        lib,
    })
}

/// Installs Debian's packages, where that needs nobody's password.
fn install() -> bool {
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n");
    if !is_root || !succeeds(&["apt-get", "--version"]) {
        return false;
    }
    eprintln!("OpenSSL's headers are not here: installing libssl-dev and pkg-config.");
    succeeds(&["apt-get", "update", "-qq"])
        && succeeds(&[
            "apt-get",
            "install",
            "-qq",
            "-y",
            "--no-install-recommends",
            "libssl-dev",
            "pkg-config",
        ])
}

fn succeeds(command: &[&str]) -> bool {
    Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
