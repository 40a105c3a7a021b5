//! The example programs that speak TLS, against openssl, curl and Python as a user would try them.
//!
//! What is not on this machine is skipped, and said so.

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

#[test]
fn echo_tls_shows_both_ways_to_end_a_message() {
    let output = run(&mut Command::new(build("echo_tls")), b"");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for line in [
        "echoed up to NUL: hello\n",
        "echoed up to the end: and now for the half-close\n",
        "the peer closed cleanly: true\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn echo_tls_talks_to_itself_over_files() {
    let Some(files) = files() else { return };
    let server = Server::echo(files);
    let program = build("echo_tls");
    let client = |cafile: &str, name: &str| {
        let mut client = Command::new(&program);
        client.args(["client", &server.address(), cafile, name]);
        run(&mut client, b"one\ntwo\n")
    };
    let output = client(&files.cert, "localhost");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("NUL: one\n") && said.contains("NUL: two\n"),
        "{said}"
    );
    let output = client(&files.cert, "example.org");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).contains("ostname mismatch"),
        "{}",
        text(&output)
    );
    assert_eq!(client("/nowhere", "localhost").status.code(), Some(1));
    let output = run(Command::new(&program).arg("bogus"), b"");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn echo_tls_answers_openssl() {
    let Some(files) = files() else { return };
    let server = Server::echo(files);
    for version in ["-tls1_2", "-tls1_3"] {
        // At the end of its input s_client closes, and what is on its way is lost; so wait for it.
        let mut client = Command::new("openssl")
            .args(["s_client", "-connect", &server.address(), version, "-quiet"])
            .args(["-CAfile", &files.cert, "-verify_return_error"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        client
            .stdin
            .as_ref()
            .unwrap()
            .write_all(b"well?\n")
            .unwrap();
        let mut echo = [0; 6];
        let read = client.stdout.as_mut().unwrap().read_exact(&mut echo);
        client.kill().unwrap();
        client.wait().unwrap();
        read.unwrap();
        assert_eq!(&echo, b"well?\n");
    }
}

#[test]
fn echo_tls_answers_python_and_closes_both_ways() {
    let Some(files) = files() else { return };
    if !is_there("python3", "--version") {
        return;
    }
    let server = Server::echo(files);
    let program = format!(
        "{PYTHON_CLIENT}
tls.sendall(b'hello\\0')
assert read(6) == b'hello\\0'
tls.sendall(b'x' * 100000)
assert read(100000) == b'x' * 100000
tls.unwrap().close()
"
    );
    let output = python(&program, files, &server);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn https_get_explains_itself() {
    let program = build("https_get");
    for wrong in [
        &[][..],
        &["http://localhost/"],
        &["https://"],
        &["https://localhost:x/"],
        &["https://one/", "https://two/"],
        &["--limit", "soon", "https://localhost/"],
        &["--cafile", "a", "--insecure", "https://localhost/"],
        &["--bogus"],
    ] {
        let output = run(Command::new(&program).args(wrong), b"");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(text(&output).contains("Usage: https_get"), "{wrong:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn https_get_believes_nobody_whom_it_was_not_told_to() {
    let Some(files) = files() else { return };
    let server = Server::https(files);
    let program = build("https_get");
    let get = |arguments: &[&str]| run(Command::new(&program).args(arguments), b"");
    let url = server.url("big");

    let output = get(&["--cafile", &files.cert, &url]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stdout == files.big);
    let output = get(&["--cafile", &files.cert, &server.url("none")]);
    assert_eq!(output.status.code(), Some(22));

    let output = get(&[&url]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(
        text(&output).contains("nobody who is trusted has issued the certificate ("),
        "{}",
        text(&output)
    );
    // The certificate is for localhost and 127.0.0.1, not for this address.
    let other = format!("https://127.0.0.2:{}/", server.port);
    let listener = TcpListener::bind(("127.0.0.2", server.port)).unwrap();
    let address = server.address();
    std::thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let far = TcpStream::connect(address).unwrap();
        let (mut near_too, mut far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut near_too, &mut far_too));
        let _ = std::io::copy(&mut &far, &mut &near);
    });
    let output = get(&["--cafile", &files.cert, &other]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).contains("127.0.0.2:")
            && text(&output).contains(": the certificate is for another host ("),
        "{}",
        text(&output)
    );

    let output = get(&["--insecure", &url]);
    assert!(output.status.success() && output.stdout == files.big);
}

#[test]
fn https_get_names_a_certificate_that_has_expired() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    certificate.not_before = rcgen::date_time_ymd(2001, 1, 1);
    certificate.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (cert, key_file) = (path("cert.pem"), path("key.pem"));
    fs::write(&cert, certificate.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    let arguments = ["127.0.0.1:0", &cert, &key_file, "127.0.0.1:1"];
    let server = Server::start(&build("tls_proxy"), &arguments, "on ");
    let mut get = Command::new(build("https_get"));
    let output = run(get.args(["--cafile", &cert, &server.url("")]), b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).contains(": the certificate has expired ("),
        "{}",
        text(&output)
    );
}

#[test]
fn https_get_notices_what_is_not_a_whole_answer() {
    let Some(files) = files() else { return };
    let program = build("https_get");
    let get_within = |seconds: &str, port: u16| {
        let url = format!("https://localhost:{port}/");
        let mut get = Command::new(&program);
        run(
            get.args(["--limit", seconds, "--cafile", &files.cert, &url]),
            b"",
        )
    };
    let get = |port| get_within("30", port);
    // A server that does not speak TLS, and one that says nothing at all.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut plain, _) = listener.accept().unwrap();
        plain
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        let silent = listener.accept().unwrap();
        (plain, silent, listener.accept())
    });
    let output = get(port);
    let not_tls = format!("https_get: localhost:{port}: the server does not speak TLS (");
    assert!(text(&output).contains(&not_tls), "{}", text(&output));
    let output = get_within("2", port);
    assert!(text(&output).contains("time limit"), "{}", text(&output));
    drop(TcpStream::connect(("127.0.0.1", port)));
    server.join().unwrap().2.unwrap();

    // An answer that is cut by the plain server behind the proxy.
    for cut in [
        "HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.0 200 OK\r\n\r\nhalf",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
            stream.write_all(cut.as_bytes()).unwrap();
            // Closing with unread bytes is a reset.
            std::thread::sleep(Duration::from_millis(100));
        });
        let proxy = Server::proxy(files, &upstream);
        let output = get(proxy.port);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        server.join().unwrap();
    }
}

#[test]
fn httpd_serves_https_to_curl() {
    let Some(files) = files() else { return };
    if !is_there("curl", "--version") {
        return;
    }
    let server = Server::https(files);
    let output = curl(files, &[&server.url("")]);
    assert_eq!(text(&output), "<h1>here</h1>");
    for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"], &["--http1.1"]] {
        let big = curl(files, &[version, &[&server.url("big")]].concat());
        assert!(
            big.stdout == files.big,
            "{}",
            String::from_utf8_lossy(&big.stderr)
        );
    }
    // Several over one connection, and a part of a file.
    let two = curl(
        files,
        &["-r", "10-19", &server.url("big"), &server.url("big")],
    );
    assert!(two.stdout == [&files.big[10..20], &files.big[10..20]].concat());
    // One that does not trust the server, and one that does not speak TLS, disturb nobody.
    let output = run(Command::new("curl").args(["-sS", &server.url("")]), b"");
    assert_eq!(output.status.code(), Some(60), "{}", text(&output));
    let plain = run(
        Command::new("curl").args(["-sS", &server.url("").replace("https", "http")]),
        b"",
    );
    assert!(!plain.status.success());
    assert_eq!(text(&curl(files, &[&server.url("")])), "<h1>here</h1>");
}

#[test]
fn httpd_serves_https_to_openssl_and_python() {
    let Some(files) = files() else { return };
    let server = Server::https(files);
    let request = b"GET / HTTP/1.0\r\n\r\n";
    let output = openssl_client(files, &server, &["-ign_eof", "-alpn", "http/1.1"], request);
    let said = text(&output);
    assert!(said.contains("<h1>here</h1>"), "{said}");
    assert!(said.contains("ALPN protocol: http/1.1"), "{said}");
    if !is_there("python3", "--version") {
        return;
    }
    let program = "
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[1])
url = 'https://localhost:' + sys.argv[2] + '/big'
for _ in range(3):
    assert len(urllib.request.urlopen(url, context=context, timeout=30).read()) == 3000000
";
    let output = python(program, files, &server);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn httpd_stops_in_good_order_over_tls() {
    let Some(files) = files() else { return };
    let mut server = Server::https(files);
    let mut idle = TcpStream::connect(server.address()).unwrap();
    idle.set_read_timeout(Some(PATIENCE)).unwrap();
    signal(server.child.id(), Signal::TERM).unwrap();
    let mut rest = Vec::new();
    let _ = idle.read_to_end(&mut rest);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(server.child.wait()));
        let status = receiver
            .recv_timeout(PATIENCE)
            .expect("it does not stop")
            .unwrap();
        assert!(status.success());
    });
}

#[test]
fn tls_proxy_serves_a_plain_server_to_curl() {
    let Some(files) = files() else { return };
    if !is_there("curl", "--version") {
        return;
    }
    let site = files.site.to_str().unwrap();
    let plain = Server::start(
        &build("httpd"),
        &["--listen", "127.0.0.1:0", site],
        "http://",
    );
    let proxy = Arc::new(Server::proxy(files, &plain.address()));
    let clients: Vec<_> = (0..10)
        .map(|_| {
            let proxy = proxy.clone();
            std::thread::spawn(move || curl(files, &[&proxy.url("big"), &proxy.url("")]))
        })
        .collect();
    for client in clients {
        let output = client.join().unwrap();
        assert!(output.stdout == [&files.big[..], b"<h1>here</h1>"].concat());
    }
    // The plain server goes, and the proxy stays.
    drop(plain);
    assert!(!curl(files, &[&proxy.url("")]).status.success());
    assert!(!curl(files, &[&proxy.url("")]).status.success());
}

#[test]
fn tls_proxy_passes_on_ends_as_what_they_were() {
    let Some(files) = files() else { return };
    if !is_there("python3", "--version") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Server::proxy(files, &listener.local_addr().unwrap().to_string());
    let accept = || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    std::thread::scope(|scope| {
        // The server half-closes; the client reads the end, and what it says then still arrives.
        let server = scope.spawn(|| {
            let mut stream = accept();
            stream.write_all(b"all").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).unwrap();
            heard
        });
        let program = format!(
            "{PYTHON_CLIENT}
assert read(3) == b'all' and tls.recv(1) == b''
tls.sendall(b'thanks')
tls.unwrap()
"
        );
        let output = python(&program, files, &proxy);
        assert!(output.status.success(), "{}", text(&output));
        assert_eq!(server.join().unwrap(), b"thanks");

        // The client is cut off: that is no end of a message for the server.
        let server = scope.spawn(|| accept().read_to_end(&mut Vec::new()));
        let program = format!(
            "{PYTHON_CLIENT}\ntls.sendall(b'half of')\ntcp2 = tls.detach()\nimport os\nos.close(tcp2)\n"
        );
        let output = python(&program, files, &proxy);
        assert!(output.status.success(), "{}", text(&output));
        let error = server.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn tls_proxy_without_a_server_ends_no_message() {
    use green::ssl::{Purpose, SslContext, VerifyLocation};

    let Some(files) = files() else { return };
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap().to_string();
    drop(gone);
    let proxy = Server::proxy(files, &address);
    let context = SslContext::new(Purpose::ServerAuth).unwrap();
    let authority = std::fs::read(&files.cert).unwrap();
    context
        .load_verify_locations(VerifyLocation::Bytes(&authority))
        .unwrap();
    let tcp = green::net::TcpStream::connect(proxy.address()).unwrap();
    // It may be cut before the handshake is over on this side.
    if let Ok(tls) = context.connect(tcp, "localhost") {
        tls.set_read_timeout(Some(PATIENCE)).unwrap();
        let error = (&tls).read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}
