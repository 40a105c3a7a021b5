//! Where the console listens, who may connect, and how it ends.

use std::io::ErrorKind;
use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn dropping_the_server_ends_its_sessions_and_its_listeners() {
    test_support::bounded("drop", LIMIT, || {
        green::run(|| ());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backdoor");
        // An address whose ports nobody else takes meanwhile.
        let server = Server::new()
            .tcp("127.91.3.7:0")
            .unwrap()
            .unix(&path)
            .unwrap();
        let address = server.address().unwrap();
        let (mut one, mut other) = (tcp(&server), unix(&path));
        one.answer();
        other.answer();
        drop(server);
        assert_eq!(one.rest(), "");
        assert_eq!(other.rest(), "");
        assert!(!path.exists());
        assert_eq!(
            TcpStream::connect(address).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn only_loopback_addresses_are_taken_unless_others_are_allowed() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let error = Server::new().tcp(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{address}");
        assert!(error.to_string().contains("loopback"), "{error}");
    }
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let error = Server::new().listener(listener).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let server = Server::new().allow_remote().tcp("0.0.0.0:0").unwrap();
    assert!(server.address().unwrap().ip().is_unspecified());
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = Server::new().listener(datagrams).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_unix_socket_is_its_owners_alone_and_replaces_only_what_was_left_behind() {
    use std::os::unix::fs::PermissionsExt;
    test_support::bounded("unix file", LIMIT, || {
        green::run(|| ());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backdoor");
        let in_use = || Server::new().unix(&path).unwrap_err().kind() == ErrorKind::AddrInUse;

        // Left behind: std does not remove the file.
        drop(UnixListener::bind(&path).unwrap());
        let server = loop {
            // Another test may be starting a process, which has a copy of the
            // listener until it runs its program.
            match Server::new().unix(&path) {
                Ok(server) => break server,
                Err(error) => assert_eq!(error.kind(), ErrorKind::AddrInUse),
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        works(unix(&path));
        // Alive.
        assert!(in_use());
        works(unix(&path));
        drop(server);
        assert!(!path.exists());

        // Alive, but not answering.
        let deaf = UnixListener::bind(&path).unwrap();
        assert!(in_use());
        drop(deaf);
        std::fs::remove_file(&path).unwrap();

        // Something else.
        std::fs::write(&path, "precious").unwrap();
        assert!(in_use());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();

        // Somebody else's by now.
        let server = Server::new().unix(&path).unwrap();
        let elsewhere = directory.path().join("elsewhere");
        let other = UnixListener::bind(&elsewhere).unwrap();
        std::fs::rename(&elsewhere, &path).unwrap();
        drop(server);
        assert!(path.exists());
        drop(other);
    });
}
