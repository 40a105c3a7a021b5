//! Python's own asyncio as the peer, in both roles, plain and over TLS.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use green::asyncio::{ConnectionOptions, ServerOptions, create_connection, create_server};
use green::ssl::{EngineKind, TlsVersion};

use crate::transports::recorder::{Call, Record, Recorder, recorder_that};
use test_support::bounded;
use test_support::certs::{AUTHORITY, LOCALHOST, client_context, server_context};

/// Python's own limit is shorter.
const LIMIT: Duration = Duration::from_secs(240);

/// Whether there is a Python to talk to; says so if there is none.
fn python() -> bool {
    let asked = Command::new("python3")
        .args(["-c", "import asyncio, ssl"])
        .output();
    let there = asked.is_ok_and(|output| output.status.success());
    if !there {
        println!("skipped: there is no python3 with asyncio and ssl");
    }
    there
}

fn peer(arguments: &[&str]) -> Child {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/asyncio/transports/peer.py"
    );
    let mut command = Command::new("python3");
    command.arg(script).args(arguments).stdout(Stdio::piped());
    command.spawn().unwrap()
}

fn message() -> Vec<u8> {
    let mut message: Vec<u8> = (0..1_000_000).map(|n| 1 + (n % 255) as u8).collect();
    message.push(0);
    message
}

fn file(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// All calls but those about the marks, which depend on speed.
fn calls(record: &Record) -> Vec<Call> {
    let mut calls = record.all();
    calls.retain(|call| !matches!(call, Call::Paused | Call::Resumed));
    // What a mark stood between.
    let mut whole: Vec<Call> = Vec::new();
    for call in calls {
        match (whole.last_mut(), call) {
            (Some(Call::Data(before)), Call::Data(data)) => before.extend(data),
            (_, call) => whole.push(call),
        }
    }
    whole
}

/// Echoes; over TLS, where a message ends with a NUL byte, it closes then.
fn echo(tls: bool) -> (Recorder, Record) {
    recorder_that(move |call, transport| {
        if let Call::Data(data) = call {
            transport.write(data)?;
            if tls && data.ends_with(b"\0") {
                transport.close();
            }
        }
        Ok(false)
    })
}

#[test]
fn python_s_client_and_our_server_understand_each_other() {
    if !python() {
        return;
    }
    bounded("python client", LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let cafile = file(folder.path(), "ca.pem", &AUTHORITY.pem);
        for version in [None, Some(TlsVersion::Tls12), Some(TlsVersion::Tls13)] {
            let (protocol, record) = echo(version.is_some());
            let protocol = parking_lot::Mutex::new(Some(protocol));
            let mut options = ServerOptions::new();
            if let Some(version) = version {
                options = options.ssl(&server_context(EngineKind::default(), version));
            }
            let factory = move || protocol.lock().take().expect("one connection");
            let server = create_server(factory, "127.0.0.1:0", options).unwrap();
            let port = server.local_addr().unwrap().port().to_string();
            let ca = version.map_or("-", |_| cafile.to_str().unwrap());
            let output = peer(&["client", "127.0.0.1", &port, ca])
                .wait_with_output()
                .unwrap();
            assert!(output.status.success(), "{version:?}");
            let told = String::from_utf8(output.stdout).unwrap();
            assert_eq!(told.trim(), "made data eof lost", "{version:?}");
            let calls = calls(&record);
            assert_eq!(calls[..2], [Call::Made, Call::Data(message())]);
            // Over TLS it was us who closed.
            let end: &[Call] = match version {
                None => &[Call::Eof, Call::Lost(None)],
                Some(_) => &[Call::Lost(None)],
            };
            assert_eq!(&calls[2..], end, "{version:?}");
        }
    });
}

#[test]
fn our_client_and_python_s_server_understand_each_other() {
    if !python() {
        return;
    }
    bounded("python server", LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let cert = file(folder.path(), "cert.pem", &LOCALHOST.chain);
        let key = file(folder.path(), "key.pem", &LOCALHOST.key);
        for version in [None, Some(TlsVersion::Tls12), Some(TlsVersion::Tls13)] {
            let files = [cert.to_str().unwrap(), key.to_str().unwrap()];
            let [cert, key] = version.map_or(["-", "-"], |_| files);
            let mut python = peer(&["server", cert, key]);
            let mut lines = BufReader::new(python.stdout.take().unwrap());
            let mut port = String::new();
            lines.read_line(&mut port).unwrap();
            let address = format!("127.0.0.1:{}", port.trim());

            let (protocol, record) = recorder_that(|call, transport| {
                if *call == Call::Made {
                    transport.write(&message())?;
                    if transport.can_write_eof() {
                        transport.write_eof()?;
                    }
                }
                Ok(false)
            });
            let mut options = ConnectionOptions::new();
            if let Some(version) = version {
                options = options.ssl(&client_context(EngineKind::default(), version), "localhost");
            }
            create_connection(|| protocol, &*address, options).unwrap();
            let all = [
                Call::Made,
                Call::Data(message()),
                Call::Eof,
                Call::Lost(None),
            ];
            assert!(calls(&record) == all, "{version:?}");
            let mut told = String::new();
            lines.read_to_string(&mut told).unwrap();
            assert!(python.wait().unwrap().success(), "{version:?}");
            // After its own close, some versions call the answer to their close_notify an end, and some do not.
            let told = told.trim();
            let closed_itself = version.is_some() && told == "made data lost";
            assert!(
                closed_itself || told == "made data eof lost",
                "{version:?}: {told}"
            );
        }
    });
}
