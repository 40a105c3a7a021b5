//! rustls as client and server, and against `openssl s_server`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use green::net::TcpStream;
use green::thread;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection,
    StreamOwned, SupportedProtocolVersion,
};

use crate::crowd::{ANSWER, asks_as_fast_as_one, serve};
use test_support::child::alone;

type Client = StreamOwned<ClientConnection, TcpStream>;

fn identity() -> rcgen::CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

fn client_config(
    identity: &rcgen::CertifiedKey<rcgen::KeyPair>,
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(identity.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> Client {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(config, name).unwrap();
    StreamOwned::new(connection, TcpStream::connect(address).unwrap())
}

/// Sends a line, and reads one.
fn ask(client: &mut Client, line: &str) -> String {
    // One record, which leaves at once: a second one would wait for the
    // acknowledgement of the first.
    client.write_all(format!("{line}\n").as_bytes()).unwrap();
    client.flush().unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\n") {
        client.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    answer.pop();
    String::from_utf8(answer).unwrap()
}

fn s_server_turns_lines_round(option: &str, version: &'static SupportedProtocolVersion) {
    let identity = identity();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let started = Command::new("openssl")
        .args([
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-rev",
            option,
            "-cert",
        ])
        .arg(file("cert", identity.cert.pem()))
        .arg("-key")
        .arg(file("key", identity.signing_key.serialize_pem()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut server = match started {
        Ok(server) => server,
        Err(error) => return eprintln!("skipped: openssl cannot be started: {error}"),
    };
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let address: SocketAddr = loop {
        let line = lines.next().expect("s_server goes on").unwrap();
        if let Some(address) = line.strip_prefix("ACCEPT ") {
            break address.trim().parse().unwrap();
        }
    };
    // It goes on printing, and must not wait for a reader.
    let printing = std::thread::spawn(move || lines.count());
    let config = client_config(&identity, version);
    // It serves them one after the other; all wait for their turn.
    let clients: Vec<_> = (0..20)
        .map(|n| {
            let config = config.clone();
            thread::spawn(move || {
                let mut client = connect(address, config);
                for round in 0..3 {
                    let line = format!("client {n} line {round}");
                    let turned: String = line.chars().rev().collect();
                    assert_eq!(ask(&mut client, &line), turned);
                }
                let long = "ab".repeat(4000);
                let turned: String = long.chars().rev().collect();
                assert_eq!(ask(&mut client, &long), turned);
                client.conn.send_close_notify();
                client.flush().unwrap();
                client.conn.protocol_version().unwrap()
            })
        })
        .collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), version.version);
    }
    server.kill().unwrap();
    server.wait().unwrap();
    printing.join().unwrap();
}

#[test]
fn rustls_talks_tls_1_2_to_s_server() {
    alone(
        "tls::rustls_talks_tls_1_2_to_s_server",
        &[("GREEN_HUBS", "1")],
        || {
            assert_eq!(TLS12.version, ProtocolVersion::TLSv1_2);
            s_server_turns_lines_round("-tls1_2", &TLS12);
        },
    )
    .well();
}

#[test]
fn rustls_talks_tls_1_3_to_s_server() {
    alone(
        "tls::rustls_talks_tls_1_3_to_s_server",
        &[("GREEN_HUBS", "1")],
        || {
            s_server_turns_lines_round("-tls1_3", &TLS13);
        },
    )
    .well();
}

#[test]
fn two_hundred_at_once_wait_as_long_as_one() {
    alone(
        "tls::two_hundred_at_once_wait_as_long_as_one",
        &[("GREEN_HUBS", "1")],
        || {
            let identity = identity();
            let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let server = ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(&[&TLS13])
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![identity.cert.der().clone()], key)
                .unwrap();
            let server = Arc::new(server);
            let address = serve(move |stream| {
                let connection = ServerConnection::new(server.clone()).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                let mut request = [0; 64];
                // An error or an end is the client's going.
                while let Ok(length @ 1..) = stream.read(&mut request) {
                    if request[..length].starts_with(b"slow") {
                        thread::sleep(ANSWER);
                    }
                    stream.write_all(&request[..length]).unwrap();
                    stream.flush().unwrap();
                }
            });
            let config = client_config(&identity, &TLS13);
            asks_as_fast_as_one(
                move || {
                    let mut client = connect(address, config.clone());
                    assert_eq!(ask(&mut client, "hello"), "hello");
                    client
                },
                |client| assert_eq!(ask(client, "slow"), "slow"),
            );
        },
    )
    .well();
}
