//! The example programs that speak TLS, against openssl, curl and Python as a user would try them.
//!
//! What is not on this machine is skipped, and said so.

mod echo_tls;
mod httpd;
mod https_get;
mod tls_proxy;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use test_support::example_program::build;
use test_support::running::{Signal, signal};

/// Longer than anything here takes on a busy machine; a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(60);
const BIG_BYTES: usize = 3_000_000;

/// A self-signed certificate for localhost and 127.0.0.1, made as the programs' documentation says.
struct Files {
    _directory: tempfile::TempDir,
    cert: String,
    key: String,
    site: PathBuf,
    big: Vec<u8>,
}

/// `None`, and a word about it, without openssl.
fn files() -> Option<&'static Files> {
    static FILES: OnceLock<Option<Files>> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        if !is_there("openssl", "version") {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let (cert, key, site) = (
            path("cert.pem"),
            path("key.pem"),
            directory.path().join("site"),
        );
        let arguments = "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
             -addext subjectAltName=DNS:localhost,IP:127.0.0.1";
        let mut make = Command::new("openssl");
        make.args(arguments.split_whitespace());
        let made = run(make.args(["-keyout", &key, "-out", &cert]), b"");
        assert!(made.status.success(), "{}", text(&made));
        fs::create_dir(&site).unwrap();
        let big: Vec<u8> = (0..BIG_BYTES as u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        fs::write(site.join("big"), &big).unwrap();
        fs::write(site.join("index.html"), "<h1>here</h1>").unwrap();
        Some(Files {
            _directory: directory,
            cert,
            key,
            site,
            big,
        })
    });
    if files.is_none() {
        println!("skipped: no openssl here to make a certificate with");
    }
    files.as_ref()
}

fn is_there(program: &str, question: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg(question)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let there = command.status().is_ok_and(|status| status.success());
    if !there {
        println!("skipped: no {program} here");
    }
    there
}

/// Runs a program to its end with `input`, and ends the test if it does not end.
fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // A program that does not want its input may have ended by now.
        let _ = stdin.write_all(&input);
        drop(stdin);
        sender.send(child.wait_with_output())
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            let _ = signal(id, Signal::KILL);
            panic!("{command:?} does not end");
        }
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A program that says where it listens in its first line.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// The address follows `before` in the first line.
    fn start(program: &Path, arguments: &[&str], before: &str) -> Server {
        let mut child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        let rest = line
            .split(before)
            .nth(1)
            .unwrap_or_else(|| panic!("{line}"));
        let port = rest.split(':').nth(1).unwrap();
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        Server {
            child,
            port: port.parse().unwrap(),
        }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.port)
    }

    fn https(files: &Files) -> Server {
        let site = files.site.to_str().unwrap();
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "--tls",
            &files.cert,
            &files.key,
            site,
        ];
        Server::start(&build("httpd"), &arguments, "https://")
    }

    fn echo(files: &Files) -> Server {
        let arguments = ["server", "127.0.0.1:0", &files.cert, &files.key];
        Server::start(&build("echo_tls"), &arguments, "on ")
    }

    fn proxy(files: &Files, upstream: &str) -> Server {
        let arguments = ["127.0.0.1:0", &files.cert, &files.key, upstream];
        Server::start(&build("tls_proxy"), &arguments, "on ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn curl(files: &Files, arguments: &[&str]) -> Output {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "50"]);
    run(curl.args(["--cacert", &files.cert]).args(arguments), b"")
}

fn openssl_client(files: &Files, server: &Server, options: &[&str], input: &[u8]) -> Output {
    let mut client = Command::new("openssl");
    client.args([
        "s_client",
        "-connect",
        &server.address(),
        "-CAfile",
        &files.cert,
    ]);
    run(client.arg("-verify_return_error").args(options), input)
}

fn python(program: &str, files: &Files, server: &Server) -> Output {
    let mut python = Command::new("python3");
    python.args(["-c", program, &files.cert, &server.port.to_string()]);
    run(&mut python, b"")
}

/// A TLS client that connects to `argv[2]` and trusts `argv[1]`.
const PYTHON_CLIENT: &str = "
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
tcp = socket.create_connection(('127.0.0.1', int(sys.argv[2])), timeout=30)
tls = context.wrap_socket(tcp, server_hostname='localhost')
def read(count):
    got = b''
    while len(got) < count:
        piece = tls.recv(65536)
        assert piece, 'ended early'
        got += piece
    return got
";
