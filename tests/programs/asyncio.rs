//! The example programs in asyncio's manner, against openssl and Python as a user would try them.
//!
//! What is not on this machine is skipped, and said so.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use test_support::bounded;
use test_support::certs::SELF_SIGNED;
use test_support::example_program::build;
use test_support::running::{Signal, signal};

/// Longer than anything here takes on a busy machine, the building of the program included.
const LIMIT: Duration = Duration::from_secs(300);

/// A server on a certificate for localhost, told to stop when it is dropped.
struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
    cert: String,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let directory = tempfile::tempdir().unwrap();
        let [cert, key] = SELF_SIGNED.write_to(directory.path());
        let mut child = Command::new(build("asyncio_streams"))
            .args(["server", "127.0.0.1:0", &cert, &key])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Server {
            child,
            output,
            address,
            cert,
            _directory: directory,
        }
    }

    /// Tells it to stop, and returns what it has said since it listened.
    fn stop(mut self) -> String {
        signal(self.child.id(), Signal::TERM).unwrap();
        let mut said = String::new();
        self.output.read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success());
        said
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end; `None`, and a word about it, if it is not on this machine.
fn run(program: impl AsRef<Path>, arguments: &[&str], input: &[u8]) -> Option<Output> {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            println!("skipped: {}: {error}", program.as_ref().display());
            return None;
        }
    };
    // It may have ended by now.
    let _ = child.stdin.take().unwrap().write_all(input);
    Some(child.wait_with_output().unwrap())
}

#[test]
fn asyncio_streams_talks_to_itself() {
    bounded("asyncio_streams", LIMIT, || {
        let output = run(build("asyncio_streams"), &[], b"").unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success());
        assert!(
            said.contains("came back: This is the message. It is sent in parts."),
            "{said}"
        );
        let wrong = run(build("asyncio_streams"), &["bogus"], b"").unwrap();
        assert_eq!(wrong.status.code(), Some(2));
        let help = run(build("asyncio_streams"), &["--help"], b"").unwrap();
        assert!(help.status.success());
        let said = String::from_utf8(wrong.stderr).unwrap();
        assert!(said.contains("'bogus' fits none of these"), "{said}");
        assert!(
            said.ends_with(str::from_utf8(&help.stdout).unwrap()),
            "{said}"
        );
        let nowhere = ["client", "127.0.0.1:1", "/nowhere.pem"];
        let wrong = run(build("asyncio_streams"), &nowhere, b"").unwrap();
        assert_eq!(wrong.status.code(), Some(1));
        let said = String::from_utf8(wrong.stderr).unwrap();
        assert!(
            said.starts_with("asyncio_streams: /nowhere.pem: "),
            "{said}"
        );
    });
}

#[test]
fn asyncio_streams_answers_its_client_and_refuses_a_wrong_name() {
    bounded("asyncio_streams", LIMIT, || {
        let server = Server::start();
        let program = build("asyncio_streams");
        let client = ["client", &server.address, &server.cert];
        let output = run(&program, &client, b"hello, world\n").unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, b"hello, world\n");
        let [role, address, cert] = client;
        let wrong = run(&program, &[role, address, cert, "example.org"], b"hello").unwrap();
        assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
        let said = server.stop();
        assert!(
            said.contains("sent 13 bytes") && said.ends_with("stopped\n"),
            "{said}"
        );
    });
}

#[test]
fn asyncio_streams_answers_openssl() {
    bounded("asyncio_streams", LIMIT, || {
        let server = Server::start();
        for version in ["-tls1_2", "-tls1_3"] {
            let arguments = [
                "s_client",
                "-quiet",
                "-verify_return_error",
                version,
                "-connect",
                &server.address,
                "-CAfile",
                &server.cert,
            ];
            let Some(output) = run("openssl", &arguments, b"This is the message.\0") else {
                return;
            };
            assert_eq!(output.stdout, b"This is the message.\0", "{output:?}");
        }
    });
}

const PYTHON: &str = r#"
import asyncio, ssl, sys

async def main():
    context = ssl.create_default_context(cafile=sys.argv[1])
    async def connect():
        return await asyncio.open_connection(
            "127.0.0.1", int(sys.argv[2]), ssl=context, server_hostname="localhost")
    reader, writer = await connect()
    for part in (b"This is the message. ", b"It is sent ", b"in parts."):
        writer.write(part)
    writer.write(b"\0")
    await writer.drain()
    assert await reader.read() == b"This is the message. It is sent in parts.\0"
    writer.close()
    await writer.wait_closed()
    reader, writer = await connect()
    writer.write(b"x" * 100_000)
    try:
        assert await reader.read() == b""
    except ConnectionError:
        pass  # It closed before it had read everything.
    writer.transport.abort()

asyncio.run(asyncio.wait_for(main(), 60))
"#;

#[test]
fn asyncio_streams_answers_python() {
    bounded("asyncio_streams", LIMIT, || {
        let server = Server::start();
        let (_, port) = server.address.rsplit_once(':').unwrap();
        let Some(output) = run("python3", &["-c", PYTHON, &server.cert, port], b"") else {
            return;
        };
        assert!(output.status.success(), "{output:?}");
        let said = server.stop();
        assert!(
            said.contains("more than 65536 bytes, without a NUL"),
            "{said}"
        );
    });
}
