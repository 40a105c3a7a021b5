//! `https_get`, and whom it does not believe.

use super::*;

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
