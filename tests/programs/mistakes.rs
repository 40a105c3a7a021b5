//! What the example programs say of a command line or an address that will not do, and of `--help`.

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use test_support::certs::SELF_SIGNED;
use test_support::example_program::{build, names_the_mistake};
use test_support::running::free_address;

use crate::small::{run, text};

/// Each program, with command lines that it must refuse.
const WRONG: &[(&str, &[&[&str]])] = &[
    ("asyncio_protocol", &[&["--bogus"], &["client", "one"]]),
    ("asyncio_streams", &[&["--bogus"], &["client", "one"]]),
    (
        "backdoor",
        &[
            &["--bogus"],
            &["--seconds", "soon"],
            &["--unix"],
            &["127.0.0.1:0"],
        ],
    ),
    (
        "chat",
        &[
            &["--bogus"],
            &["--guests"],
            &["--guests", "none"],
            &["127.0.0.1:0", "127.0.0.2:0"],
        ],
    ),
    (
        "crawler",
        &[
            &["--bogus"],
            &["--pages", "0"],
            &["--connections"],
            &["http://one/", "http://two/"],
        ],
    ),
    (
        "echo_server",
        &[&["--bogus"], &["127.0.0.1:0", "127.0.0.2:0"]],
    ),
    ("echo_tls", &[&["--bogus"], &["server", "one"]]),
    (
        "httpd",
        &[&["--bogus"], &["one", "two"], &["--limit", "soon"]],
    ),
    ("https_get", &[&["--bogus"], &["--limit", "soon"]]),
    (
        "json_service",
        &[
            &["--bogus"],
            &["127.0.0.1:0"],
            &["one", "two", "three"],
            &[],
        ],
    ),
    ("reconnect", &[&["--bogus"], &["server"]]),
    (
        "reverse_proxy",
        &[
            &["--bogus"],
            &["one"],
            &["http://one", "http://two"],
            &["ftp://127.0.0.1"],
            &["http://127.0.0.1/path"],
            &["--limit", "soon", "http://127.0.0.1"],
            &["--tls", "alone"],
            &[],
        ],
    ),
    (
        "serve",
        &[
            &["--bogus"],
            &["--grace", "soon"],
            &["--concurrency", "0"],
            &["127.0.0.1:0", "127.0.0.2:0"],
        ],
    ),
    ("tls_proxy", &[&["--bogus"], &["one"]]),
    (
        "tour",
        &[
            &["--bogus", "1"],
            &["--connections"],
            &["--connections", "none"],
        ],
    ),
    ("udp_multicast", &[&["--bogus"], &["now"]]),
    ("ureq_connector", &[&["--bogus"]]),
    ("web", &[&["--bogus"], &["127.0.0.1:0", "127.0.0.2:0"]]),
    ("web_chat", &[&["--bogus"], &["127.0.0.1:0", "127.0.0.2:0"]]),
];

fn run_with(name: &str, arguments: &[&str]) -> Output {
    let mut program = Command::new(build(name));
    run(program.args(arguments).stdin(Stdio::null()))
}

#[test]
fn every_program_has_a_page_and_names_the_argument_that_is_wrong() {
    for (name, wrong) in WRONG {
        let usage = format!("Usage: {name}");
        for help in ["--help", "-h"] {
            let output = run_with(name, &[help]);
            assert_eq!(output.status.code(), Some(0), "{name} {help}");
            assert!(output.stdout.starts_with(usage.as_bytes()), "{name} {help}");
        }
        for arguments in *wrong {
            let output = run_with(name, arguments);
            assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}");
            assert!(output.stdout.is_empty(), "{name} {arguments:?}");
            let words = match arguments {
                [] => &["missing"],
                words => *words,
            };
            names_the_mistake(&output.stderr, name, words);
        }
    }
}

/// A program that fails, with the thing and the reason in one line, and none of Rust's own notation.
#[track_caller]
fn names(name: &str, arguments: &[&str], thing: &str, reason: &str) {
    let output = run_with(name, arguments);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{name}: {said}");
    let told = |line: &str| line.contains(thing) && line.contains(reason);
    assert!(said.lines().any(told), "{name}: {said}");
    for notation in ["Os {", "Custom {", "kind:", "Err(", "Some("] {
        assert!(!said.contains(notation), "{name}: {said}");
    }
}

#[test]
fn the_programs_name_the_file_that_is_not_there() {
    let (cert, key) = ("/nowhere/cert.pem", "/nowhere/key.pem");
    for (name, arguments, file) in [
        (
            "asyncio_protocol",
            &["server", "127.0.0.1:0", cert, key][..],
            cert,
        ),
        (
            "asyncio_protocol",
            &["client", "127.0.0.1:1", cert, "hello"],
            cert,
        ),
        (
            "asyncio_streams",
            &["server", "127.0.0.1:0", cert, key],
            cert,
        ),
        ("asyncio_streams", &["client", "127.0.0.1:1", cert], cert),
        (
            "backdoor",
            &["--unix", "/nowhere/socket"],
            "/nowhere/socket",
        ),
        ("echo_tls", &["server", "127.0.0.1:0", cert, key], cert),
        ("echo_tls", &["client", "127.0.0.1:1", cert], cert),
        (
            "https_get",
            &["--cafile", cert, "https://localhost:1/"],
            cert,
        ),
        (
            "httpd",
            &["--listen", "127.0.0.1:0", "--tls", cert, key],
            cert,
        ),
        (
            "httpd",
            &["--listen", "127.0.0.1:0", "/nowhere"],
            "/nowhere",
        ),
        (
            "tls_proxy",
            &["127.0.0.1:0", cert, key, "127.0.0.1:1"],
            cert,
        ),
        (
            "web",
            &["127.0.0.1:0", "--next", "/nowhere/next"],
            "/nowhere/next",
        ),
    ] {
        names(name, arguments, file, "No such file or directory");
    }
}

#[test]
fn the_programs_name_an_address_that_is_none_or_that_they_must_not_take() {
    let nowhere = "256.0.0.1:1";
    for (name, arguments) in [
        ("httpd", &["--listen", nowhere][..]),
        ("reverse_proxy", &["--listen", nowhere, "http://127.0.0.1"]),
        ("web_chat", &[nowhere]),
    ] {
        names(name, arguments, nowhere, "");
    }
    let public = ["--tcp", "0.0.0.0:0", "--seconds", "0"];
    names(
        "backdoor",
        &public,
        "0.0.0.0:0",
        "is not a loopback address",
    );
}

#[test]
fn the_programs_name_the_address_where_nobody_listens() {
    let folder = tempfile::tempdir().unwrap();
    let [cert, _] = &SELF_SIGNED.write_to(folder.path());
    let nobody = &*free_address();
    let page = &*format!("http://{nobody}/page");
    let secret = &*format!("https://{nobody}/");
    let database = &*format!("postgres://me:secret@{nobody}/notes");
    for (name, arguments) in [
        ("asyncio_protocol", &["client", nobody, cert, "hello"][..]),
        ("asyncio_streams", &["client", nobody, cert]),
        ("crawler", &[page]),
        ("echo_tls", &["client", nobody, cert]),
        ("https_get", &["--cafile", cert, secret]),
        ("json_service", &["127.0.0.1:0", database]),
        ("ureq_connector", &[page]),
    ] {
        names(name, arguments, nobody, "Connection refused");
    }
}

#[test]
fn the_programs_name_the_address_that_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let [cert, key] = &SELF_SIGNED.write_to(folder.path());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = &*taken.local_addr().unwrap().to_string();
    for (name, arguments) in [
        ("asyncio_protocol", &["server", taken, cert, key][..]),
        ("asyncio_streams", &["server", taken, cert, key]),
        ("backdoor", &["--tcp", taken]),
        ("backdoor", &["--http", taken]),
        ("chat", &[taken]),
        ("echo_server", &[taken]),
        ("echo_tls", &["server", taken, cert, key]),
        ("httpd", &["--listen", taken]),
        ("reconnect", &["server", taken]),
        ("reverse_proxy", &["--listen", taken, "http://127.0.0.1:1"]),
        ("serve", &[taken]),
        ("tls_proxy", &[taken, cert, key, "127.0.0.1:1"]),
        ("web", &[taken]),
        ("web", &["127.0.0.1:0", "--watch", taken]),
        ("web_chat", &[taken]),
    ] {
        names(name, arguments, taken, "Address already in use");
    }
}

#[test]
fn the_programs_say_what_an_address_is() {
    let folder = tempfile::tempdir().unwrap();
    let [cert, key] = &SELF_SIGNED.write_to(folder.path());
    for (name, arguments) in [
        ("asyncio_protocol", &["server", "7007", cert, key][..]),
        ("asyncio_streams", &["client", "7007", cert]),
        ("backdoor", &["--http", "7007"]),
        ("chat", &["7007"]),
        ("echo_server", &["7007"]),
        ("echo_tls", &["server", "7007", cert, key]),
        ("httpd", &["--listen", "7007"]),
        ("reconnect", &["server", "7007"]),
        ("serve", &["7007"]),
        ("tls_proxy", &["127.0.0.1:0", cert, key, "7007"]),
        ("web", &["7007"]),
        ("web_chat", &["7007"]),
    ] {
        names(name, arguments, "7007", "not HOST:PORT");
    }
}

#[test]
fn a_tls_client_names_the_address_of_a_peer_that_only_echoes() {
    let folder = tempfile::tempdir().unwrap();
    let [cert, _] = &SELF_SIGNED.write_to(folder.path());
    let echoes = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = &*echoes.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (peer, _) = echoes.accept().unwrap();
        let _ = std::io::copy(&mut &peer, &mut &peer);
    });
    names(
        "echo_tls",
        &["client", address, cert],
        address,
        "sends back what it gets",
    );
}
