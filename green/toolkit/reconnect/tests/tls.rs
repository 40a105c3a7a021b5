use super::*;
use crate::ssl::testing::{AUTHORITY, Authority, client_context, server_context_with};
use crate::ssl::{EngineKind, GreenSslSocket, Reason, SslError};

#[test]
fn a_rejected_certificate_stops_at_once() {
    both(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stranger = Authority::new("somebody else").leaf("localhost");
        let listener =
            server_context_with(EngineKind::default(), &stranger).wrap_listener(listener);
        let server = thread::spawn(move || {
            let (mut tls, _) = listener.accept().unwrap();
            tls.read(&mut [0])
        });
        let context = client_context(EngineKind::default());
        let mut opens = 0;
        let open = || -> io::Result<GreenSslSocket> {
            opens += 1;
            context.connect(TcpStream::connect(address)?, "localhost")
        };
        let gave_up = Reconnect::new(open).run(|_| Ok(())).unwrap_err();
        assert!(gave_up.is_permanent());
        assert_eq!(gave_up.attempts(), 1);
        let reason = SslError::of(gave_up.error()).unwrap().reason();
        assert_eq!(reason, Reason::UnknownIssuer);
        assert_eq!(opens, 1);
        assert!(server.join().unwrap().is_err());
    });
}

#[test]
fn a_tls_server_that_vanishes_is_connected_to_again() {
    both(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let leaf = AUTHORITY.leaf("localhost");
        let context = server_context_with(EngineKind::default(), &leaf);
        let server = thread::spawn(move || {
            // Silent before the handshake, then gone after it, then well.
            let silent = listener.accept().unwrap();
            // On a busy machine an attempt may run into the limit.
            let shaken = || loop {
                let tls = context.accept(listener.accept().unwrap().0).unwrap();
                if tls.do_handshake().is_ok() {
                    return tls;
                }
            };
            shaken().get_ref().close();
            let mut tls = shaken();
            tls.write_all(b"!").unwrap();
            drop(silent);
            tls.read(&mut [0])
        });
        let context = client_context(EngineKind::default());
        let mut connection =
            Reconnect::new(|| context.connect(TcpStream::connect(address)?, "localhost"))
                .open_limit(Duration::from_secs(1))
                .attempts(None)
                .pauses(SHORT);
        let mut byte = [0];
        connection.run(|tls| tls.read_exact(&mut byte)).unwrap();
        assert_eq!(&byte, b"!");
        drop(connection);
        assert_eq!(server.join().unwrap().unwrap(), 0);
    });
}

#[test]
fn presence_is_set_on_the_socket_under_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let context = client_context(EngineKind::default());
    let tls = context.wrap_socket(stream, Some("localhost")).unwrap();
    Presence::STEADY.apply(&tls).unwrap();
    assert_set(Presence::STEADY, tls.get_ref());
}
