//! `start_tls`: a connection that begins in the clear.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use green::asyncio::{
    ConnectionOptions, ServerOptions, TlsOptions, create_connection, create_server, start_tls,
};
use green::ssl::EngineKind;
use openssl::ssl::{Ssl, SslStream};

use crate::transports::plain::pair_of;
use crate::transports::recorder::{Call, PATIENCE, recorder, recorder_that};
use crate::transports::tls::each;
use test_support::certs::{Peers, client_context, peer_context, server_context};

fn line(peer: &TcpStream) -> String {
    // No more than the line may be read.
    let mut line = String::new();
    BufReader::with_capacity(1, peer)
        .read_line(&mut line)
        .unwrap();
    line
}

/// Asks for TLS in the clear, and speaks it.
fn ask(setup: crate::transports::tls::Setup, mut peer: TcpStream) -> SslStream<TcpStream> {
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.write_all(b"STARTTLS\n").unwrap();
    assert_eq!(line(&peer), "go ahead\n");
    let ssl = Ssl::new(&peer_context(false, setup.version, Peers::Easy)).unwrap();
    ssl.connect(peer).unwrap()
}

#[test]
fn a_server_begins_tls_inside_the_protocol_s_own_call() {
    each("start_tls inside", |setup| {
        if !setup.server {
            return;
        }
        let context = server_context(EngineKind::default(), setup.version);
        let mut tls = None;
        let (protocol, record) = recorder_that(move |call, transport| {
            match call {
                Call::Data(data) if data == b"STARTTLS\n" => {
                    transport.write(b"go ahead\n")?;
                    tls = Some(start_tls(transport, &TlsOptions::server(&context))?);
                    let refused = transport.write(b"x").unwrap_err();
                    assert!(green::ClosedLocally::caused(&refused));
                }
                Call::Data(data) => tls.as_ref().unwrap().write(data)?,
                _ => {}
            }
            Ok(false)
        });
        let protocol = parking_lot::Mutex::new(Some(protocol));
        let server = create_server(
            move || protocol.lock().take().unwrap(),
            "127.0.0.1:0",
            ServerOptions::new(),
        )
        .unwrap();
        let peer = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let mut peer = ask(setup, peer);
        peer.write_all(b"secret").unwrap();
        let mut echo = [0; 6];
        peer.read_exact(&mut echo).unwrap();
        assert_eq!(&echo, b"secret");
        // The server knows the connection under its new transport.
        server.close();
        server.close_clients();
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0, "close_notify");
        peer.shutdown().unwrap();
        server.wait_closed();
        let calls = record.all();
        assert_eq!(calls.first(), Some(&Call::Made));
        assert_eq!(calls.last(), Some(&Call::Lost(None)));
        assert_eq!(calls.len(), 3, "{calls:?}");
    });
}

#[test]
fn a_client_begins_tls_from_outside() {
    each("start_tls outside", |setup| {
        if setup.server {
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            peer.set_read_timeout(Some(PATIENCE)).unwrap();
            assert_eq!(line(&peer), "STARTTLS\n");
            peer.write_all(b"go ahead\n").unwrap();
            let ssl = Ssl::new(&peer_context(true, setup.version, Peers::Easy)).unwrap();
            let mut peer = ssl.accept(peer).unwrap();
            let mut heard = [0; 6];
            peer.read_exact(&mut heard).unwrap();
            peer.write_all(&heard).unwrap();
            peer.shutdown().unwrap();
            assert_eq!(peer.read(&mut heard).unwrap(), 0);
        });
        let (protocol, record) = recorder();
        let (plain, handle) =
            create_connection(|| protocol, address, ConnectionOptions::new()).unwrap();
        plain.write(b"STARTTLS\n").unwrap();
        assert_eq!(record.next(), Call::Made);
        assert_eq!(record.next(), Call::Data(b"go ahead\n".to_vec()));
        let context = client_context(EngineKind::default(), setup.version);
        let tls = start_tls(&plain, &TlsOptions::client(&context, "localhost")).unwrap();
        assert!(plain.is_closing() && !tls.is_closing());
        assert_eq!(tls.get_extra_info().version(), Some(setup.version));
        let again = start_tls(&tls, &TlsOptions::client(&context, "localhost")).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::Unsupported);
        let gone = start_tls(&plain, &TlsOptions::client(&context, "localhost")).unwrap_err();
        assert!(green::ClosedLocally::caused(&gone));
        tls.write(b"secret").unwrap();
        assert_eq!(record.next(), Call::Data(b"secret".to_vec()));
        assert_eq!(record.next(), Call::Eof);
        assert_eq!(record.verdict(), None);
        handle.with(|protocol| assert!(protocol.transport.is_some()));
        peer.join().unwrap();
    });
}

#[test]
fn a_start_that_fails_ends_the_connection_with_the_same_error() {
    each("start_tls fails", |setup| {
        let context = client_context(EngineKind::default(), setup.version);
        let limit = Duration::from_millis(50);
        let options = TlsOptions::client(&context, "localhost").ssl_handshake_timeout(limit);
        // From outside and inside alike.
        if setup.server {
            let mut pair = pair_of(recorder_that(move |call, transport| {
                if matches!(call, Call::Data(_)) {
                    start_tls(transport, &options).unwrap_err();
                }
                Ok(false)
            }));
            pair.peer.write_all(b"go").unwrap();
            assert_eq!(pair.record.verdict(), Some(io::ErrorKind::TimedOut));
        } else {
            let pair = pair_of(recorder());
            let error = start_tls(&pair.transport, &options).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(pair.record.verdict(), Some(io::ErrorKind::TimedOut));
        }
    });
}

#[test]
fn a_close_in_the_midst_of_the_handshake_is_not_forgotten() {
    each("closed in the handshake", |setup| {
        let context = client_context(EngineKind::default(), setup.version);
        let pair = pair_of(recorder());
        let transport = pair.transport.clone();
        let starting = green::thread::spawn(move || {
            start_tls(&transport, &TlsOptions::client(&context, "localhost")).map(drop)
        });
        // Its first flight has come: the handshake is under way.
        pair.peer.peek(&mut [0; 1]).unwrap();
        pair.transport.abort();
        assert!(starting.join().unwrap().is_err());
        assert_eq!(pair.record.all(), [Call::Made, Call::Lost(None)]);
    });
}

/// Begins TLS as a client, and returns when the handshake is under way: with who waits for its end.
fn begun(
    setup: crate::transports::tls::Setup,
    pair: &crate::transports::plain::Pair,
) -> green::thread::JoinHandle<io::Result<green::asyncio::Transport>> {
    let context = client_context(EngineKind::default(), setup.version);
    let transport = pair.transport.clone();
    let starting = green::thread::spawn(move || {
        start_tls(&transport, &TlsOptions::client(&context, "localhost"))
    });
    // Its first flight has come.
    pair.peer.peek(&mut [0; 1]).unwrap();
    starting
}

#[test]
fn a_close_asked_of_the_old_transport_in_the_midst_is_done_by_the_new_one() {
    each("close in the handshake", |setup| {
        if !setup.server {
            return;
        }
        let pair = pair_of(recorder());
        let starting = begun(setup, &pair);
        pair.transport.close();
        let ssl = Ssl::new(&peer_context(true, setup.version, Peers::Easy)).unwrap();
        let mut peer = ssl.accept(pair.peer).unwrap();
        let tls = starting.join().unwrap().unwrap();
        assert!(tls.is_closing());
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0, "close_notify");
        peer.shutdown().unwrap();
        assert_eq!(pair.record.all(), [Call::Made, Call::Lost(None)]);
    });
}

#[test]
fn a_peer_that_leaves_in_the_midst_of_the_handshake_is_an_error_for_both() {
    each("left in the handshake", |setup| {
        let pair = pair_of(recorder());
        let starting = begun(setup, &pair);
        // The flight is unread, so that the socket's close resets.
        let kind = match setup.server {
            true => {
                pair.peer.shutdown(std::net::Shutdown::Write).unwrap();
                io::ErrorKind::UnexpectedEof
            }
            false => {
                drop(pair.peer);
                io::ErrorKind::ConnectionReset
            }
        };
        let error = starting.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(pair.record.verdict(), Some(kind));
        assert_eq!(pair.record.all().len(), 2);
    });
}

#[test]
fn a_caller_killed_in_the_midst_of_the_handshake_ends_the_connection() {
    each("killed in the handshake", |setup| {
        let mut pair = pair_of(recorder());
        let starting = begun(setup, &pair);
        starting.kill().unwrap();
        assert!(starting.join().is_err());
        assert_eq!(pair.record.verdict(), Some(io::ErrorKind::Other));
        assert_eq!(pair.record.all().len(), 2);
        // What it had said, and the end.
        let mut flight = Vec::new();
        let _ = pair.peer.read_to_end(&mut flight);
    });
}
