//! `tls_proxy`, before plain servers.

use super::*;

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
