use std::io::ErrorKind;

use super::*;
use crate::ssl::certificate::Certificate;
use crate::ssl::facts::TlsVersion;
use crate::ssl::testing::*;
use crate::ssl::{EngineKind, Purpose, Reason, SslContext, VerifyLocation, VerifyMode};

mod close;
mod hostile;
mod renewal;
mod straight;
mod stream;

fn reason(error: &io::Error) -> Reason {
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    SslError::of(error)
        .unwrap_or_else(|| panic!("no SslError in {error:?}"))
        .reason()
}

/// The error of an answer that must be one.
fn error_of<T: fmt::Debug>(answer: io::Result<Progress<T>>) -> io::Error {
    answer.expect_err("an error was due")
}

#[test]
fn request_and_answer_both_ways() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        write(&mut pair.client, b"question");
        carry(&mut pair.client, &mut pair.server);
        assert_eq!(read_all(&mut pair.server), b"question", "{setup:?}");
        write(&mut pair.server, b"answer");
        carry(&mut pair.server, &mut pair.client);
        assert_eq!(read_all(&mut pair.client), b"answer", "{setup:?}");
    }
}

#[test]
fn a_pipe_can_cross_threads() {
    fn sendable<T: Send>() {}
    sendable::<SslPipe>();
}

#[test]
fn calls_out_of_turn_are_errors() {
    for setup in SETUPS {
        let mut pair = Pair::of(setup);
        let client = &mut pair.client;
        for _ in 0..2 {
            assert_eq!(
                error_of(client.read(&mut [0; 8])).kind(),
                ErrorKind::NotConnected
            );
            assert_eq!(
                error_of(client.write(b"early")).kind(),
                ErrorKind::NotConnected
            );
            assert_eq!(
                client.shutdown().unwrap_err().kind(),
                ErrorKind::NotConnected
            );
            assert_eq!(
                client.take_unread().unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
            assert!(client.peer_certificate().unwrap().is_none());
            assert_eq!(client.pending(), 0);
            // Now in the midst of the handshake.
            assert_eq!(client.handshake().unwrap(), Progress::WantRead);
        }
        pair.handshake().unwrap();
        assert_eq!(pair.client.handshake().unwrap(), Progress::Done(()));
        assert!(pair.client.is_handshaken() && pair.server.is_handshaken());
        pair.client.shutdown().unwrap();
        assert_eq!(pair.client.handshake().unwrap(), Progress::Done(()));
    }
}

#[test]
fn an_idle_pipe_holds_no_buffer() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        write(&mut pair.client, &[7; 20_000]);
        pair.client.drain_to(&mut io::sink()).unwrap();
        for pipe in [&pair.client, &pair.server] {
            assert_eq!(pipe.bio.wire().incoming.capacity(), 0, "{setup:?}");
            assert_eq!(pipe.bio.wire().outgoing.capacity(), 0, "{setup:?}");
        }
    }
}

/// A client that meets `server`, and the two ends' errors.
fn refused(
    client: &SslContext,
    name: &str,
    server: &SslContext,
) -> (SslPipe, io::Error, SslPipe, io::Error) {
    let mut pair = Pair {
        client: client.pipe(Some(name)).unwrap(),
        server: server.pipe(None).unwrap(),
    };
    let error = pair.handshake().unwrap_err();
    // In TLS 1.3 the server may think itself done until the alert comes.
    carry(&mut pair.client, &mut pair.server);
    let told = match pair.server.handshake() {
        Ok(Progress::Done(())) => error_of(pair.server.read(&mut [0; 8])),
        Ok(progress) => panic!("the alert did not arrive: {progress:?}"),
        Err(error) => error,
    };
    let Pair { client, server } = pair;
    (client, error, server, told)
}

#[test]
fn a_bad_certificate_is_named_and_the_peer_is_told() {
    let stranger = Authority::new("somebody else");
    let leaves = [
        (
            AUTHORITY.expired(),
            "localhost",
            Reason::CertificateExpired,
            45,
        ),
        (
            AUTHORITY.leaf("elsewhere.example"),
            "localhost",
            Reason::HostnameMismatch,
            42,
        ),
        (
            AUTHORITY.leaf("localhost"),
            "127.0.0.1",
            Reason::HostnameMismatch,
            42,
        ),
        (
            stranger.leaf("localhost"),
            "localhost",
            Reason::UnknownIssuer,
            48,
        ),
    ];
    for setup in SETUPS {
        for (leaf, name, cause, alert) in &leaves {
            let client = client_context(setup.client);
            client.set_maximum_version(setup.version).unwrap();
            let server = server_context_with(setup.server, leaf);
            let (mut client, error, mut server, told) = refused(&client, name, &server);
            assert_eq!(reason(&error), *cause, "{setup:?}: {error}");
            assert_eq!(reason(&told), Reason::Alert(*alert), "{setup:?}: {told}");
            // No plaintext passes after that, in either direction, and the first verdict stays.
            let before = server.produced();
            for _ in 0..3 {
                assert_eq!(reason(&error_of(client.handshake())), *cause);
                assert_eq!(reason(&error_of(client.read(&mut [0; 8]))), *cause);
                assert_eq!(reason(&error_of(client.write(b"secret"))), *cause);
                let _ = server.write(b"secret");
                carry(&mut server, &mut client);
            }
            assert_eq!(client.outgoing(), 0, "{setup:?}");
            assert_eq!(server.produced(), before, "{setup:?}");
        }
    }
}

#[test]
fn a_trusted_certificate_is_not_needed_where_none_is_asked_for() {
    let stranger = Authority::new("somebody else").leaf("elsewhere.example");
    for setup in SETUPS {
        let client = SslContext::with_engine(Purpose::ServerAuth, setup.client).unwrap();
        client.set_maximum_version(setup.version).unwrap();
        client.set_check_hostname(false).unwrap();
        client.set_verify_mode(VerifyMode::None).unwrap();
        Pair::new(&client, &server_context_with(setup.server, &stranger))
            .handshake()
            .unwrap();
    }
}

#[test]
fn a_trusted_issuer_is_not_enough_unless_the_host_is_right_too() {
    let leaf = AUTHORITY.leaf("elsewhere.example");
    for setup in SETUPS {
        let client = client_context(setup.client);
        client.set_check_hostname(false).unwrap();
        Pair::new(&client, &server_context_with(setup.server, &leaf))
            .handshake()
            .unwrap();
    }
}

#[test]
fn a_failing_handshake_leaves_its_neighbours_alone() {
    let stranger = Authority::new("somebody else").leaf("localhost");
    for setup in SETUPS {
        let mut neighbour = Pair::wrapped(setup);
        let client = client_context(setup.client);
        client.set_maximum_version(setup.version).unwrap();
        let server = server_context_with(setup.server, &stranger);
        for round in 0..50_u8 {
            let mut failing = Pair::new(&client, &server);
            assert!(failing.handshake().is_err());
            write(&mut neighbour.client, &[round; 100]);
            carry(&mut neighbour.client, &mut neighbour.server);
            assert_eq!(read_all(&mut neighbour.server), [round; 100]);
            let mut beside = Pair::of(setup);
            beside.handshake().unwrap();
        }
    }
}

#[test]
fn errors_left_in_the_thread_by_other_code_are_not_ours() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        let litter = || {
            openssl::pkey::PKey::private_key_from_pem(b"no key")
                .unwrap_err()
                .put()
        };
        litter();
        assert_eq!(pair.client.read(&mut [0; 8]).unwrap(), Progress::WantRead);
        litter();
        write(&mut pair.client, b"x");
        carry(&mut pair.client, &mut pair.server);
        litter();
        assert_eq!(read_all(&mut pair.server), b"x");
        litter();
        pair.client.shutdown().unwrap();
        litter();
        Pair::of(setup).handshake().unwrap();
    }
}

#[test]
fn the_native_server_has_no_tls13_and_says_so() {
    let context = SslContext::with_engine(Purpose::ClientAuth, EngineKind::NativeTls).unwrap();
    assert_eq!(
        context
            .set_minimum_version(TlsVersion::Tls13)
            .unwrap_err()
            .kind(),
        ErrorKind::Unsupported
    );
    let client = client_context(EngineKind::OpenSsl);
    client.set_minimum_version(TlsVersion::Tls13).unwrap();
    let mut pair = Pair::new(&client, &server_context(EngineKind::NativeTls));
    assert_eq!(pair.client.handshake().unwrap(), Progress::WantRead);
    carry(&mut pair.client, &mut pair.server);
    assert_eq!(
        reason(&error_of(pair.server.handshake())),
        Reason::NothingInCommon
    );
    carry(&mut pair.server, &mut pair.client);
    assert_eq!(
        reason(&error_of(pair.client.handshake())),
        Reason::Alert(70)
    );
}

#[test]
fn the_authority_may_be_given_as_pem_or_der() {
    let der = Certificate::stack_from_pem(AUTHORITY.pem.as_bytes())
        .unwrap()
        .remove(0);
    for setup in SETUPS {
        let client = SslContext::with_engine(Purpose::ServerAuth, setup.client).unwrap();
        client
            .load_verify_locations(VerifyLocation::Bytes(der.der()))
            .unwrap();
        Pair::new(&client, &server_context(setup.server))
            .handshake()
            .unwrap();
    }
}
