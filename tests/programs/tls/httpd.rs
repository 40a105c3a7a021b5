//! `httpd --tls`, asked by curl, openssl and Python.

use super::*;

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
