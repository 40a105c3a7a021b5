//! TLS: every way in which a connection ends, seen by a protocol, in both roles and both versions. The peer is raw
//! OpenSSL over a blocking socket.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use green::asyncio::{
    ConnectionOptions, Server, ServerOptions, Transport, create_connection, create_connection_over,
    create_server,
};
use green::ssl::{EngineKind, TlsVersion};
use openssl::ssl::{ShutdownState, Ssl, SslStream};
use parking_lot::Mutex;
use socket2::SockRef;

use crate::transports::recorder::{Call, PATIENCE, Record, Recorder, recorder, recorder_that};
use test_support::bounded;
use test_support::certs::{Peers, client_context, peer_context, server_context};

/// Our part, and the version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setup {
    pub server: bool,
    pub version: TlsVersion,
}

/// Runs `body` in each setup.
pub fn each(name: &str, body: impl Fn(Setup)) {
    for server in [false, true] {
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let setup = Setup { server, version };
            println!("{name}: {setup:?}");
            bounded(name, PATIENCE, || body(setup));
        }
    }
}

/// A protocol of ours and its peer, shaken hands.
struct Pair {
    record: Record,
    peer: SslStream<TcpStream>,
    transport: Transport,
    _server: Option<Server>,
}

/// Limits of the end and of the handshake.
struct Limits {
    shutdown: Duration,
    handshake: Duration,
}

const AMPLE: Limits = Limits {
    shutdown: PATIENCE,
    handshake: PATIENCE,
};

fn pair(setup: Setup, of: (Recorder, Record)) -> Pair {
    pair_within(setup, of, AMPLE)
}

fn pair_within(setup: Setup, (protocol, record): (Recorder, Record), limits: Limits) -> Pair {
    let ssl = Ssl::new(&peer_context(!setup.server, setup.version, Peers::Easy)).unwrap();
    if setup.server {
        let (server, address) = serve(setup, protocol, limits);
        let peer = ssl.connect(patient(TcpStream::connect(address).unwrap()));
        return Pair {
            transport: transport(&record),
            record,
            peer: peer.unwrap(),
            _server: Some(server),
        };
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = std::thread::spawn(move || ssl.accept(patient(listener.accept().unwrap().0)));
    let (transport, _) = connect(setup, protocol, address, limits).unwrap();
    Pair {
        record,
        peer: peer.join().unwrap().unwrap(),
        transport,
        _server: None,
    }
}

type Connected = io::Result<(Transport, green::asyncio::ProtocolRef<Recorder>)>;

fn connect(
    setup: Setup,
    protocol: Recorder,
    address: std::net::SocketAddr,
    limits: Limits,
) -> Connected {
    let context = client_context(EngineKind::default(), setup.version);
    let options = ConnectionOptions::new()
        .ssl(&context, "localhost")
        .ssl_handshake_timeout(limits.handshake)
        .ssl_shutdown_timeout(limits.shutdown);
    create_connection(|| protocol, address, options)
}

fn serve(setup: Setup, protocol: Recorder, limits: Limits) -> (Server, std::net::SocketAddr) {
    let protocol = Mutex::new(Some(protocol));
    let context = server_context(EngineKind::default(), setup.version);
    let server = create_server(
        move || protocol.lock().take().expect("one connection"),
        "127.0.0.1:0",
        ServerOptions::new()
            .ssl(&context)
            .ssl_handshake_timeout(limits.handshake)
            .ssl_shutdown_timeout(limits.shutdown),
    )
    .unwrap();
    let address = server.local_addr().unwrap();
    (server, address)
}

/// The transport that a server's protocol was given.
fn transport(record: &Record) -> Transport {
    record.transport.wait(Some(PATIENCE)).unwrap()
}

fn patient(peer: TcpStream) -> TcpStream {
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.set_write_timeout(Some(PATIENCE)).unwrap();
    peer
}

/// Reads to the end, which is near, and tells how it came.
fn said_close_notify(peer: &mut SslStream<TcpStream>) -> bool {
    // The crate takes an end without close_notify for an end too.
    assert_eq!(peer.read(&mut [0; 1]).unwrap_or(0), 0);
    peer.get_shutdown().contains(ShutdownState::RECEIVED)
}

#[test]
fn close_notify_is_an_end_and_is_answered() {
    each("close_notify", |setup| {
        // The answer has no effect over TLS.
        let mut pair = pair(setup, recorder_that(|call, _| Ok(*call == Call::Eof)));
        pair.peer.write_all(b"last words").unwrap();
        pair.peer.shutdown().unwrap();
        assert!(said_close_notify(&mut pair.peer));
        let data = Call::Data(b"last words".to_vec());
        assert_eq!(
            pair.record.all(),
            [Call::Made, data, Call::Eof, Call::Lost(None)]
        );
    });
}

#[test]
fn a_truncated_stream_is_an_error_and_not_an_end() {
    each("ragged end", |setup| {
        let mut pair = pair(setup, recorder());
        pair.peer.write_all(b"some words").unwrap();
        pair.peer.get_ref().shutdown(Shutdown::Write).unwrap();
        assert_eq!(pair.record.verdict(), Some(io::ErrorKind::UnexpectedEof));
        let calls = pair.record.all();
        assert_eq!(calls[1], Call::Data(b"some words".to_vec()));
        assert_eq!(calls.len(), 3, "{calls:?}");
    });
}

#[test]
fn a_reset_is_told_with_its_error() {
    each("reset", |setup| {
        let pair = pair(setup, recorder());
        SockRef::from(pair.peer.get_ref())
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(pair.peer);
        assert_eq!(pair.record.verdict(), Some(io::ErrorKind::ConnectionReset));
        assert_eq!(pair.record.all().len(), 2);
    });
}

#[test]
fn close_sends_the_rest_says_close_notify_and_waits_for_the_peer_s() {
    each("close", |setup| {
        let mut pair = pair(setup, recorder());
        let much: Vec<u8> = (0..12_000_000_u32).map(|n| (n % 251) as u8).collect();
        pair.transport.write(&much).unwrap();
        assert!(pair.transport.get_write_buffer_size() > 0);
        pair.transport.close();
        assert!(pair.transport.is_closing());
        // Said to nobody: after close nothing is delivered.
        pair.peer.write_all(b"unheard").unwrap();
        let mut heard = Vec::new();
        pair.peer.read_to_end(&mut heard).unwrap();
        assert!(heard == much);
        assert!(said_close_notify(&mut pair.peer));
        assert!(pair.record.is_open(), "it waits for our close_notify");
        pair.peer.shutdown().unwrap();
        assert_eq!(pair.record.all().pop(), Some(Call::Lost(None)));
        assert!(
            !pair
                .record
                .all()
                .iter()
                .any(|call| matches!(call, Call::Data(_) | Call::Eof))
        );
    });
}

#[test]
fn a_peer_that_is_silent_at_the_end_is_waited_for_as_long_as_the_limit_says() {
    each("silent at the end", |setup| {
        let limits = Limits {
            shutdown: Duration::from_millis(50),
            ..AMPLE
        };
        let pair = pair_within(setup, recorder(), limits);
        pair.transport.close();
        let lost = Call::Lost(Some((
            io::ErrorKind::TimedOut,
            "TLS shutdown timed out".into(),
        )));
        assert_eq!(pair.record.all(), [Call::Made, lost]);
    });
}

#[test]
fn a_peer_that_takes_nothing_at_the_end_is_waited_for_as_long_as_the_limit_says() {
    each("takes nothing at the end", |setup| {
        let limits = Limits {
            shutdown: Duration::from_millis(50),
            ..AMPLE
        };
        let pair = pair_within(setup, recorder(), limits);
        pair.transport.write(&vec![7; 16 * 1024 * 1024]).unwrap();
        pair.transport.close();
        assert_eq!(pair.record.verdict(), Some(io::ErrorKind::TimedOut));
        assert_eq!(pair.transport.get_write_buffer_size(), 0);
    });
}

#[test]
fn a_peer_that_talks_on_at_the_end_is_heard_out_as_long_as_the_limit_says() {
    each("talks on at the end", |setup| {
        let limits = Limits {
            shutdown: Duration::from_millis(50),
            ..AMPLE
        };
        let Pair {
            record,
            mut peer,
            transport,
            _server,
        } = pair_within(setup, recorder(), limits);
        transport.close();
        // Until the transport has closed.
        while peer.write_all(&[7; 1000]).is_ok() {}
        assert_eq!(record.verdict(), Some(io::ErrorKind::TimedOut));
    });
}

#[test]
fn a_peer_that_first_has_to_get_rid_of_much_is_no_obstacle_to_a_close() {
    each("both full", |setup| {
        let mut pair = pair(setup, recorder());
        let much = vec![7; 12_000_000];
        pair.transport.write(&much).unwrap();
        pair.transport.close();
        // Hears nothing until it has said all this, which nobody wants any more.
        pair.peer.write_all(&much).unwrap();
        let mut heard = Vec::new();
        pair.peer.read_to_end(&mut heard).unwrap();
        assert!(heard == much);
        pair.peer.shutdown().unwrap();
        assert_eq!(pair.record.verdict(), None);
    });
}

#[test]
fn a_peer_that_has_ended_its_direction_hears_all_before_the_close() {
    each("half cut", |setup| {
        for cut in [false, true] {
            let mut pair = pair(setup, recorder());
            pair.transport.pause_reading();
            let much = vec![7; 12_000_000];
            pair.transport.write(&much).unwrap();
            pair.transport.close();
            match cut {
                true => pair.peer.get_ref().shutdown(Shutdown::Write).unwrap(),
                false => drop(pair.peer.shutdown().unwrap()),
            }
            let mut heard = Vec::new();
            pair.peer.read_to_end(&mut heard).unwrap();
            assert!(heard == much);
            assert_eq!(pair.record.verdict(), None);
        }
    });
}

#[test]
fn a_limit_that_no_clock_can_name_is_none_and_zero_is_refused() {
    each("odd limits", |setup| {
        let limits = Limits {
            shutdown: Duration::MAX,
            handshake: Duration::MAX,
        };
        let mut pair = pair_within(setup, recorder(), limits);
        pair.transport.close();
        assert!(said_close_notify(&mut pair.peer));
        pair.peer.shutdown().unwrap();
        assert_eq!(pair.record.all(), [Call::Made, Call::Lost(None)]);

        let client = client_context(EngineKind::default(), setup.version);
        let server = server_context(EngineKind::default(), setup.version);
        let (client, server) = (
            ConnectionOptions::new().ssl(&client, "localhost"),
            ServerOptions::new().ssl(&server),
        );
        let zero = Duration::ZERO;
        let nowhere = "127.0.0.1:0";
        let refused = match setup.server {
            true => [
                server.clone().ssl_handshake_timeout(zero),
                server.ssl_shutdown_timeout(zero),
            ]
            .map(|options| create_server(|| recorder().0, nowhere, options).map(drop)),
            false => [
                client.clone().ssl_handshake_timeout(zero),
                client.ssl_shutdown_timeout(zero),
            ]
            .map(|options| {
                let (ours, _theirs) = green::os::unix::net::UnixStream::pair().unwrap();
                create_connection_over(|| recorder().0, ours, options).map(drop)
            }),
        };
        for refused in refused {
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn a_paused_transport_delivers_nothing_and_loses_nothing() {
    each("paused reading", |setup| {
        let act = |call: &Call, transport: &Transport| {
            if *call == Call::Data(b"1".to_vec()) {
                transport.pause_reading();
            }
            Ok(false)
        };
        let mut pair = pair(setup, recorder_that(act));
        pair.peer.write_all(b"1").unwrap();
        assert_eq!(pair.record.next(), Call::Made);
        assert_eq!(pair.record.next(), Call::Data(b"1".to_vec()));
        pair.peer.write_all(b"2").unwrap();
        pair.peer.shutdown().unwrap();
        // Its own direction goes on.
        pair.transport.write(b"3").unwrap();
        pair.peer.read_exact(&mut [0; 1]).unwrap();
        // The call is told of before what it does is done.
        while pair.transport.is_reading() {
            std::thread::yield_now();
        }
        assert_eq!(pair.record.so_far().len(), 2);
        pair.transport.resume_reading();
        let all = Call::Data(b"12".to_vec());
        assert_eq!(
            pair.record.all(),
            [Call::Made, all, Call::Eof, Call::Lost(None)]
        );
    });
}

#[test]
fn a_peer_that_leaves_without_an_answer_to_close_is_no_error() {
    each("no answer to close", |setup| {
        let mut pair = pair(setup, recorder());
        pair.transport.close();
        assert!(said_close_notify(&mut pair.peer));
        pair.peer.get_ref().shutdown(Shutdown::Both).unwrap();
        assert_eq!(pair.record.all(), [Call::Made, Call::Lost(None)]);
    });
}

#[test]
fn abort_says_nothing_to_the_peer() {
    each("abort", |setup| {
        let mut pair = pair(setup, recorder());
        pair.transport.abort();
        assert_eq!(pair.record.all(), [Call::Made, Call::Lost(None)]);
        assert!(!said_close_notify(&mut pair.peer));
        let refused = pair.transport.write(b"x").unwrap_err();
        assert!(green::ClosedLocally::caused(&refused));
    });
}

#[test]
fn abort_cuts_an_orderly_end_short() {
    each("abort after close", |setup| {
        let mut pair = pair(setup, recorder());
        pair.transport.close();
        assert!(said_close_notify(&mut pair.peer));
        assert!(pair.record.is_open());
        pair.transport.abort();
        assert_eq!(pair.record.all(), [Call::Made, Call::Lost(None)]);
    });
}

#[test]
fn what_the_protocol_does_wrong_ends_the_connection() {
    each("protocol's error", |setup| {
        let mut pair = pair(
            setup,
            recorder_that(|call, _| match call {
                Call::Data(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "nonsense")),
                _ => Ok(false),
            }),
        );
        pair.peer.write_all(b"x").unwrap();
        assert_eq!(pair.record.verdict(), Some(io::ErrorKind::InvalidData));
        assert!(!said_close_notify(&mut pair.peer));
    });
    each("protocol's panic", |setup| {
        let mut pair = pair(
            setup,
            recorder_that(|call, _| match call {
                Call::Data(_) => panic!("on purpose"),
                _ => Ok(false),
            }),
        );
        pair.peer.write_all(b"x").unwrap();
        let lost = (
            io::ErrorKind::Other,
            "the protocol panicked: on purpose".to_owned(),
        );
        assert_eq!(pair.record.all().pop(), Some(Call::Lost(Some(lost))));
    });
}

#[test]
fn a_handshake_that_fails_makes_no_connection() {
    each("handshake fails", |setup| {
        let (protocol, record) = recorder();
        if setup.server {
            let (server, address) = serve(setup, protocol, AMPLE);
            let mut peer = patient(TcpStream::connect(address).unwrap());
            peer.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
            // An alert, perhaps, and the end.
            let _ = peer.read_to_end(&mut Vec::new());
            server.close();
            server.wait_closed();
        } else {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let peer = std::thread::spawn(move || {
                let mut peer = patient(listener.accept().unwrap().0);
                peer.write_all(b"220 mail.example.org ESMTP\r\n").unwrap();
                let _ = peer.read_to_end(&mut Vec::new());
            });
            let error = connect(setup, protocol, address, AMPLE).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            peer.join().unwrap();
        }
        assert_eq!(record.so_far(), []);
    });
}

#[test]
fn a_peer_that_refuses_us_is_an_error_of_the_protocol_s_at_the_latest() {
    // A server of TLS 1.3 judges the client's certificate when the client has shaken hands already.
    each("strict peer", |setup| {
        if setup.server {
            return;
        }
        let (protocol, record) = recorder();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ssl = Ssl::new(&peer_context(true, setup.version, Peers::Strict)).unwrap();
        let peer = std::thread::spawn(move || {
            ssl.accept(patient(listener.accept().unwrap().0))
                .map(drop)
                .unwrap_err();
        });
        match connect(setup, protocol, address, AMPLE) {
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                assert_eq!(record.so_far(), []);
            }
            Ok(_) => {
                assert_eq!(setup.version, TlsVersion::Tls13);
                assert!(record.verdict().is_some());
                assert_eq!(record.all().len(), 2);
            }
        }
        peer.join().unwrap();
    });
}

#[test]
fn a_server_that_ends_its_clients_ends_those_that_shake_hands_too() {
    each("clients in the handshake", |setup| {
        if !setup.server {
            return;
        }
        for abort in [false, true] {
            let (protocol, record) = recorder();
            let (server, address) = serve(setup, protocol, AMPLE);
            let mut peer = patient(TcpStream::connect(address).unwrap());
            let context = client_context(EngineKind::default(), setup.version);
            let mut begun = context.pipe(Some("localhost")).unwrap();
            let _ = begun.handshake().unwrap();
            begun.drain_to(&mut peer).unwrap();
            // It has been answered, and says nothing more.
            peer.read_exact(&mut [0; 1]).unwrap();
            server.close();
            match abort {
                true => server.abort_clients(),
                false => server.close_clients(),
            }
            server.wait_closed();
            let _ = peer.read_to_end(&mut Vec::new());
            assert_eq!(record.so_far(), []);
        }
    });
}

#[test]
fn a_handshake_with_a_silent_peer_has_a_limit() {
    each("handshake limit", |setup| {
        let (protocol, record) = recorder();
        let limits = Limits {
            handshake: Duration::from_millis(50),
            ..AMPLE
        };
        if setup.server {
            let (server, address) = serve(setup, protocol, limits);
            let mut peer = patient(TcpStream::connect(address).unwrap());
            assert_eq!(peer.read(&mut [0; 1]).unwrap_or(0), 0);
            server.close();
            server.wait_closed();
        } else {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let error = connect(setup, protocol, address, limits).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
        assert_eq!(record.so_far(), []);
    });
}

#[test]
fn extra_info_tells_what_was_agreed_on() {
    each("extra info", |setup| {
        let pair = pair(setup, recorder());
        let extra = pair.transport.get_extra_info();
        let address = |address: Option<&green::greenio::SockAddr>| address.unwrap().as_socket();
        assert_eq!(
            address(extra.peername()),
            pair.peer.get_ref().local_addr().ok()
        );
        assert_eq!(
            address(extra.sockname()),
            pair.peer.get_ref().peer_addr().ok()
        );
        assert!(extra.socket().nodelay().unwrap());
        assert_eq!(extra.version(), Some(setup.version));
        assert_eq!(
            extra.cipher().unwrap().name,
            pair.peer.ssl().current_cipher().unwrap().name()
        );
        assert_eq!(extra.peercert().is_some(), !setup.server);
        assert_eq!(extra.compression(), None);
        assert!(extra.sslcontext().is_some() && extra.ssl_object().is_some());
        assert!(!pair.transport.can_write_eof());
        let refused = pair.transport.write_eof().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        drop(pair.peer);
    });
}
