//! Other people's TLS: `openssl s_client` and `s_server`, Python's `ssl`.
//!
//! They run as child processes; reading and writing their pipes is left to OS threads.

use std::io::{BufRead, BufReader, ErrorKind, Lines, PipeReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use green::net::{TcpListener, TcpStream};
use green::ssl::{EngineKind, TlsVersion};
use greenhub::blocking;

use super::*;
use test_support::certs::{AUTHORITY, LOCALHOST, client_context, server_context};
use test_support::ends::roles::{V12, V13};

/// The files that the programs read: the authority, and the server's certificate with its key.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let both = format!("{}{}", LOCALHOST.chain, LOCALHOST.key);
        std::fs::write(folder.path().join("server.pem"), both).unwrap();
        std::fs::write(folder.path().join("authority.pem"), &AUTHORITY.pem).unwrap();
        Files { folder }
    }
}

/// A program that is talked to through its pipes; killed when dropped.
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    /// Not there while a thread reads them.
    lines: Option<Lines<BufReader<PipeReader>>>,
}

impl Program {
    /// `None`, with the reason printed, where there is no such program.
    fn start(files: &Files, program: &str, arguments: &[&str]) -> Option<Program> {
        let (lines, output) = std::io::pipe().unwrap();
        let child = Command::new(program)
            .args(arguments)
            .current_dir(files.folder.path())
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                println!("skipped: {program} does not run here ({error})");
                return None;
            }
        };
        Some(Program {
            input: child.stdin.take(),
            lines: Some(BufReader::new(lines).lines()),
            child,
        })
    }

    /// The rest of the first line to come that begins so.
    fn line(&mut self, beginning: &str) -> String {
        let mut lines = self.lines.take().expect("given back");
        let beginning = beginning.to_owned();
        let (lines, rest) = blocking(move || {
            loop {
                let line = lines.next();
                let line = line
                    .unwrap_or_else(|| panic!("no line {beginning:?}"))
                    .unwrap();
                if let Some(rest) = line.strip_prefix(&beginning) {
                    return (lines, rest.to_owned());
                }
            }
        });
        self.lines = Some(lines);
        rest
    }

    fn say(&mut self, line: &str) {
        // In one piece: a command is what one read begins with.
        let line = format!("{line}\n");
        self.input
            .as_mut()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
    }

    /// Gives a command, and waits until it was read: what comes behind it in the same read is ignored.
    fn command(&mut self, command: &str, answer: &str) {
        self.say(command);
        self.line(answer);
    }

    /// Ends its input.
    fn finish(&mut self) {
        self.input = None;
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn flag(version: TlsVersion) -> &'static str {
    if version == V12 { "-tls1_2" } else { "-tls1_3" }
}

fn s_server(
    files: &Files,
    version: TlsVersion,
    more: &[&str],
) -> Option<(Program, GreenSslSocket)> {
    let mut arguments = vec![
        "s_server",
        "-accept",
        "127.0.0.1:0",
        "-cert",
        "server.pem",
        flag(version),
    ];
    arguments.extend(more);
    let mut server = Program::start(files, "openssl", &arguments)?;
    let address = server.line("ACCEPT ");
    let tcp = TcpStream::connect(address.as_str()).unwrap();
    let tls = client_context(EngineKind::OpenSsl, version)
        .connect(tcp, "localhost")
        .unwrap();
    tls.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    Some((server, tls))
}

fn line_of(tls: &GreenSslSocket) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while { tls }.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

#[test]
fn openssl_s_server_echoes_and_hears_the_half_close() {
    green_test("s_server", || {
        let files = Files::new();
        for version in [V12, V13] {
            let Some((_server, mut tls)) = s_server(&files, version, &["-rev"]) else {
                return;
            };
            tls.write_all(b"hello\n").unwrap();
            assert_eq!(line_of(&tls), "olleh");
            assert_eq!(tls.version().unwrap(), Some(version));
            tls.shutdown_write().unwrap();
            // It answers our close_notify with its own, or with nothing but its end.
            match tls.read(&mut [0; 8]) {
                Ok(count) => assert_eq!(count, 0),
                Err(error) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof),
            }
        }
    });
}

#[test]
fn openssl_s_server_renews_its_keys_and_closes_early() {
    green_test("s_server commands", || {
        let files = Files::new();
        for (version, updates) in [(V13, &["K", "k", "K"][..]), (V12, &[])] {
            let Some((mut server, mut tls)) = s_server(&files, version, &[]) else {
                return;
            };
            server.say("from the server");
            assert_eq!(line_of(&tls), "from the server");
            for update in updates {
                server.say(update);
                // It says nothing to that which a pipe would show at once. It looks at its input
                // first, so once it shows our line it has read the command.
                tls.write_all(b"have you?\n").unwrap();
                server.line("have you?");
                server.say("after the update");
                assert_eq!(line_of(&tls), "after the update");
                tls.write_all(b"likewise\n").unwrap();
                server.line("likewise");
            }
            // It closes the socket and only then shuts TLS down, so no close_notify leaves.
            server.say("Q");
            for _ in 0..2 {
                let kind = tls.read(&mut [0; 8]).unwrap_err().kind();
                assert_eq!(kind, ErrorKind::UnexpectedEof);
            }
            assert!(!tls.peer_closed_cleanly());
        }
    });
}

#[test]
fn openssl_s_server_that_is_killed_is_no_clean_end() {
    green_test("s_server killed", || {
        let files = Files::new();
        for version in [V12, V13] {
            let Some((mut server, mut tls)) = s_server(&files, version, &["-rev"]) else {
                return;
            };
            tls.write_all(b"hello\n").unwrap();
            assert_eq!(line_of(&tls), "olleh");
            server.child.kill().unwrap();
            for _ in 0..2 {
                let kind = tls.read(&mut [0; 8]).unwrap_err().kind();
                assert!(
                    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
                    "{kind:?}"
                );
            }
        }
    });
}

#[test]
fn openssl_s_client_talks_to_our_server() {
    green_test("s_client", || {
        let files = Files::new();
        for (version, commands) in [(V13, &["K", "k"][..]), (V12, &[])] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let listener = server_context(EngineKind::OpenSsl, version).wrap_listener(listener);
            let arguments = [
                "s_client",
                "-connect",
                &address,
                "-servername",
                "localhost",
                "-CAfile",
                "authority.pem",
                "-verify_return_error",
                flag(version),
            ];
            let Some(mut client) = Program::start(&files, "openssl", &arguments) else {
                return;
            };
            let (mut tls, _) = listener.accept().unwrap();
            tls.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            client.say("first");
            assert_eq!(line_of(&tls), "first");
            for command in commands {
                client.command(command, "KEYUPDATE");
                client.say("after the update");
                assert_eq!(line_of(&tls), "after the update");
                tls.write_all(b"from the server\n").unwrap();
                client.line("from the server");
            }
            // The end of its input closes the connection with close_notify.
            client.finish();
            assert_eq!(tls.read(&mut [0; 8]).unwrap(), 0);
            assert!(tls.peer_closed_cleanly());
        }
    });
}

#[test]
fn openssl_s_client_that_leaves_early_is_no_clean_end() {
    green_test("s_client killed", || {
        let files = Files::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let listener = server_context(EngineKind::OpenSsl, V13).wrap_listener(listener);
        let Some(mut client) =
            Program::start(&files, "openssl", &["s_client", "-connect", &address])
        else {
            return;
        };
        let (mut tls, _) = listener.accept().unwrap();
        client.say("first");
        assert_eq!(line_of(&tls), "first");
        client.child.kill().unwrap();
        let kind = tls.read(&mut [0; 8]).unwrap_err().kind();
        assert!(
            matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
            "{kind:?}"
        );
    });
}

const PYTHON_CLIENT: &str = "
import socket, ssl, sys
context = ssl.create_default_context(cafile='authority.pem')
with socket.create_connection(('127.0.0.1', int(sys.argv[1])), 20) as tcp:
    tls = context.wrap_socket(tcp, server_hostname='localhost')
    tls.sendall(b'from python\\n')
    answer = tls.makefile('rb').readline()
    version = tls.version()
    plain = tls.unwrap()
    plain.sendall(b'in the clear\\n')
    print('heard', answer.decode().strip(), version, flush=True)
";

const PYTHON_SERVER: &str = "
import socket, ssl
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain('server.pem')
listener = socket.create_server(('127.0.0.1', 0))
print('port', listener.getsockname()[1], flush=True)
tcp, _ = listener.accept()
tls = context.wrap_socket(tcp, server_side=True)
line = tls.makefile('rb').readline()
tls.sendall(line)
plain = tls.unwrap()
plain.sendall(b'in the clear\\n')
plain.close()
";

#[test]
fn pythons_ssl_talks_to_our_server_and_unwraps() {
    green_test("python client", || {
        let files = Files::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let listener = server_context(EngineKind::OpenSsl, V13).wrap_listener(listener);
        let Some(mut client) = python(&files, PYTHON_CLIENT, &[&port]) else {
            return;
        };
        let (mut tls, _) = listener.accept().unwrap();
        tls.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(line_of(&tls), "from python");
        tls.write_all(b"from green\n").unwrap();
        assert_eq!(tls.read(&mut [0; 8]).unwrap(), 0);
        let plain = tls.unwrap(Some(Duration::from_secs(20))).unwrap();
        assert!(plain.peer_closed_cleanly);
        let mut all = plain.unread;
        { &plain.socket }.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"in the clear\n");
        assert_eq!(client.line("heard "), "from green TLSv1.3");
    });
}

#[test]
fn pythons_ssl_serves_our_client_and_unwraps() {
    green_test("python server", || {
        let files = Files::new();
        let Some(mut server) = python(&files, PYTHON_SERVER, &[]) else {
            return;
        };
        let port: u16 = server.line("port ").parse().unwrap();
        let tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut tls = client_context(EngineKind::OpenSsl, V13)
            .connect(tcp, "localhost")
            .unwrap();
        tls.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        tls.write_all(b"there and back\n").unwrap();
        assert_eq!(line_of(&tls), "there and back");
        let plain = tls.unwrap(Some(Duration::from_secs(20))).unwrap();
        assert!(plain.peer_closed_cleanly);
        let mut all = plain.unread;
        { &plain.socket }.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"in the clear\n");
    });
}

/// A Python that has `ssl`, running this.
fn python(files: &Files, script: &str, arguments: &[&str]) -> Option<Program> {
    let has_ssl = Command::new("python3")
        .args(["-c", "import ssl; assert ssl.HAS_TLSv1_3"])
        .stderr(Stdio::null())
        .status();
    if !has_ssl.is_ok_and(|status| status.success()) {
        println!("skipped: there is no python3 with TLS 1.3 here");
        return None;
    }
    Program::start(files, "python3", &[&["-c", script], arguments].concat())
}
