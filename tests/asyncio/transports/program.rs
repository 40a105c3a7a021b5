//! The example program `asyncio_protocol`, run as a newcomer would run it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use test_support::bounded;
use test_support::certs::{AUTHORITY, LOCALHOST};
use test_support::example_program::{build, names_the_mistake};
use test_support::running::{Signal, signal};

/// With the time to build it.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn asyncio_protocol_echoes_within_itself_and_over_files_and_stops_in_order() {
    bounded("asyncio_protocol", LIMIT, || {
        let program = build("asyncio_protocol");
        let output = Command::new(&program).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(said.contains("echoed: This is the message.\n"), "{said}");
        assert!(said.ends_with("stopped\n"), "{said}");

        let folder = tempfile::tempdir().unwrap();
        let [cert, key, ca] =
            ["cert.pem", "key.pem", "ca.pem"].map(|name| folder.path().join(name));
        std::fs::write(&cert, &LOCALHOST.chain).unwrap();
        std::fs::write(&key, &LOCALHOST.key).unwrap();
        std::fs::write(&ca, &AUTHORITY.pem).unwrap();
        let mut server = Command::new(&program)
            .args(["server", "127.0.0.1:0"])
            .args([&cert, &key])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(server.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("echoing over TLS on ").unwrap();
        let client = |ca: &std::path::Path| {
            let mut client = Command::new(&program);
            client
                .args(["client", address])
                .arg(ca)
                .args(["two", "words"]);
            client.output().unwrap()
        };
        assert_eq!(client(&ca).stdout, b"two words\n");
        // It trusts nobody who could have issued the server's certificate.
        assert_eq!(
            client(&folder.path().join("nothing")).status.code(),
            Some(1)
        );
        signal(server.id(), Signal::TERM).unwrap();
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("stopped\n"), "{rest}");
        assert!(server.wait().unwrap().success());

        let output = Command::new(&program).arg("bogus").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        names_the_mistake(&output.stderr, "asyncio_protocol", &["bogus"]);
        let help = Command::new(&program).arg("--help").output().unwrap();
        assert!(help.status.success());
        assert!(output.stderr.ends_with(&help.stdout));
        let nowhere = ["server", "127.0.0.1:0", "/nowhere.pem", "/key.pem"];
        let output = Command::new(&program).args(nowhere).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.starts_with("asyncio_protocol: /nowhere.pem: "),
            "{said}"
        );
    });
}
