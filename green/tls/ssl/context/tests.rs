use std::io::ErrorKind;

use super::*;
use crate::os::unix::net::UnixStream;
use crate::ssl::testing::*;
use crate::ssl::{Progress, Reason, SslError};
use EngineKind::{NativeTls, OpenSsl};

mod certificates;
mod negotiation;

fn reason(error: &io::Error) -> Reason {
    SslError::of(error)
        .unwrap_or_else(|| panic!("no SslError in {error:?}"))
        .reason()
}

fn kind<T: fmt::Debug>(result: io::Result<T>) -> ErrorKind {
    result.expect_err("an error was due").kind()
}

/// The name in the certificate that the server shows.
fn shown_name(pair: &Pair) -> String {
    let certificate = pair
        .client
        .peer_certificate()
        .unwrap()
        .expect("a certificate");
    certificate.details().unwrap().subject[0].1.clone()
}

#[test]
fn the_defaults_are_the_safe_ones() {
    for engine in [OpenSsl, NativeTls] {
        let client = SslContext::with_engine(Purpose::ServerAuth, engine).unwrap();
        assert_eq!(
            (client.verify_mode(), client.check_hostname()),
            (VerifyMode::Required, true)
        );
        let server = SslContext::with_engine(Purpose::ClientAuth, engine).unwrap();
        assert_eq!(
            (server.verify_mode(), server.check_hostname()),
            (VerifyMode::None, false)
        );
        // An empty trust trusts nobody.
        let error = Pair::new(&client, &server_context(engine))
            .handshake()
            .unwrap_err();
        assert_eq!(reason(&error), Reason::UnknownIssuer, "{engine:?}: {error}");
    }
    let context = SslContext::create_default_context(Purpose::ServerAuth).unwrap();
    let error = Pair::new(&context, &server_context(OpenSsl))
        .handshake()
        .unwrap_err();
    assert_eq!(reason(&error), Reason::UnknownIssuer, "{error}");
}

#[test]
fn versions_below_tls12_are_refused_unless_asked_for() {
    for (client, server) in [
        (OpenSsl, OpenSsl),
        (OpenSsl, NativeTls),
        (NativeTls, OpenSsl),
    ] {
        let client = client_context(client);
        assert_eq!(
            kind(client.set_maximum_version(TlsVersion::Tls11)),
            ErrorKind::InvalidInput
        );
        client.set_minimum_version(TlsVersion::Tls10).unwrap();
        client.set_maximum_version(TlsVersion::Tls11).unwrap();
        assert_eq!(
            kind(client.set_minimum_version(TlsVersion::Tls12)),
            ErrorKind::InvalidInput
        );
        assert!(
            Pair::new(&client, &server_context(server))
                .handshake()
                .is_err()
        );
    }
}

#[test]
fn both_ends_agree_on_the_newest_version_and_on_aes() {
    for (maximum, version, name) in [
        (
            TlsVersion::Tls13,
            TlsVersion::Tls13,
            "TLS_AES_128_GCM_SHA256",
        ),
        (
            TlsVersion::Tls12,
            TlsVersion::Tls12,
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
    ] {
        let client = client_context(OpenSsl);
        client.set_maximum_version(maximum).unwrap();
        let mut pair = Pair::new(&client, &server_context(OpenSsl));
        assert_eq!(pair.client.version().unwrap(), None);
        assert_eq!(pair.client.cipher().unwrap(), None);
        pair.handshake().unwrap();
        for pipe in [&pair.client, &pair.server] {
            assert_eq!(pipe.version().unwrap(), Some(version));
            let cipher = pipe.cipher().unwrap().unwrap();
            assert_eq!((cipher.name.as_str(), cipher.secret_bits), (name, 128));
            assert!(!pipe.session_reused().unwrap());
        }
        assert_eq!(
            version.to_string(),
            pair.client.cipher().unwrap().unwrap().protocol
        );
    }
}

fn socket() -> UnixStream {
    UnixStream::pair().unwrap().0
}

#[test]
fn a_context_is_for_one_side_only() {
    for engine in [OpenSsl, NativeTls] {
        let client = client_context(engine);
        assert!(!client.pipe(Some("localhost")).unwrap().server_side());
        assert_eq!(kind(client.pipe(None)), ErrorKind::InvalidInput);
        // It would do without a name, and yet it is no server's.
        let anybodys = client_context(engine);
        anybodys.set_check_hostname(false).unwrap();
        assert_eq!(kind(anybodys.accept(socket())), ErrorKind::InvalidInput);
        let server = server_context(engine);
        assert!(server.pipe(None).unwrap().server_side());
        assert_eq!(
            kind(server.pipe(Some("localhost"))),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(server.connect(socket(), "localhost")),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(server.set_check_hostname(true)),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(client.set_server_name_callback(|_| Ok(None))),
            ErrorKind::InvalidInput
        );
    }
}

#[test]
fn host_names_are_sound_or_refused() {
    for engine in [OpenSsl, NativeTls] {
        let client = client_context(engine);
        for name in [
            "",
            ".",
            ".localhost",
            "local host",
            "b\u{fc}cher.example",
            "nul\0byte",
        ] {
            assert_eq!(
                kind(client.pipe(Some(name))),
                ErrorKind::InvalidInput,
                "{name:?}"
            );
        }
        // The dot that ends a full name is neither sent nor compared.
        let mut pair = Pair {
            client: client.pipe(Some("localhost.")).unwrap(),
            server: server_context(OpenSsl).pipe(None).unwrap(),
        };
        pair.handshake().unwrap();
        assert_eq!(
            pair.server.server_name().unwrap().as_deref(),
            Some("localhost")
        );
    }
}

#[test]
fn addresses_are_compared_as_addresses() {
    for (name, right) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1")] {
        let leaf = AUTHORITY.leaf(name);
        for engine in [OpenSsl, NativeTls] {
            let server = server_context_with(OpenSsl, &leaf);
            for (wanted, fits) in [(right, true), ("127.0.0.2", false), ("localhost", false)] {
                let mut pair = Pair {
                    client: client_context(engine).pipe(Some(wanted)).unwrap(),
                    server: server.pipe(None).unwrap(),
                };
                let answer = pair.handshake();
                assert_eq!(answer.is_ok(), fits, "{engine:?}: {wanted} against {name}");
                if let Err(error) = answer {
                    assert_eq!(
                        reason(&error),
                        Reason::HostnameMismatch,
                        "{engine:?}: {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn checking_names_needs_certificates() {
    let client = client_context(OpenSsl);
    assert_eq!(
        kind(client.set_verify_mode(VerifyMode::None)),
        ErrorKind::InvalidInput
    );
    assert_eq!(client.verify_mode(), VerifyMode::Required);
    client.set_check_hostname(false).unwrap();
    client.set_verify_mode(VerifyMode::None).unwrap();
    client.set_check_hostname(true).unwrap();
    assert_eq!(client.verify_mode(), VerifyMode::Required);
    // Without a name there is nothing to check or to send.
    client.set_check_hostname(false).unwrap();
    let mut pair = Pair {
        client: client.pipe(None).unwrap(),
        server: server_context(OpenSsl).pipe(None).unwrap(),
    };
    pair.handshake().unwrap();
    assert_eq!(pair.server.server_name().unwrap(), None);
    let native = client_context(NativeTls);
    native.set_check_hostname(false).unwrap();
    assert_eq!(kind(native.pipe(None)), ErrorKind::Unsupported);
}

#[test]
fn what_native_tls_cannot_do_is_refused() {
    let server = server_context(NativeTls);
    let session = {
        let mut pair = Pair::wrapped(SETUPS[0]);
        write(&mut pair.client, b"x");
        pair.client.session().unwrap().unwrap()
    };
    let client = client_context(NativeTls);
    assert_eq!(
        kind(server.set_verify_mode(VerifyMode::Required)),
        ErrorKind::Unsupported
    );
    assert_eq!(
        kind(server.set_server_name_callback(|_| Ok(None))),
        ErrorKind::Unsupported
    );
    assert_eq!(
        kind(server.set_minimum_version(TlsVersion::Tls13)),
        ErrorKind::Unsupported
    );
    assert_eq!(kind(client.set_ciphers("DEFAULT")), ErrorKind::Unsupported);
    assert_eq!(
        kind(client.pipe_resuming(Some("localhost"), &session)),
        ErrorKind::Unsupported
    );
    let mut pair = Pair::new(&client, &server);
    pair.handshake().unwrap();
    for pipe in [&pair.client, &pair.server] {
        assert_eq!(kind(pipe.version()), ErrorKind::Unsupported);
        assert_eq!(kind(pipe.cipher()), ErrorKind::Unsupported);
        assert_eq!(kind(pipe.session()), ErrorKind::Unsupported);
        assert_eq!(kind(pipe.session_reused()), ErrorKind::Unsupported);
        assert_eq!(kind(pipe.server_name()), ErrorKind::Unsupported);
    }
    // What was refused has changed nothing.
    assert_eq!(server.verify_mode(), VerifyMode::None);
    assert_eq!(
        kind(
            SslContext::with_engine(Purpose::ClientAuth, NativeTls)
                .unwrap()
                .pipe(None)
        ),
        ErrorKind::InvalidInput
    );
}
