//! What the two ends agree on: protocols, certificates by name, client certificates, resumed sessions.

use super::*;

#[test]
fn the_server_chooses_the_protocol_from_what_the_client_offers() {
    for client_engine in [OpenSsl, NativeTls] {
        for server_engine in [OpenSsl, NativeTls] {
            let shaken = |offered: &[&str], ours: &[&str]| -> io::Result<Option<String>> {
                let (client, server) =
                    (client_context(client_engine), server_context(server_engine));
                client.set_alpn_protocols(offered).unwrap();
                server.set_alpn_protocols(ours).unwrap();
                let mut pair = Pair::new(&client, &server);
                pair.handshake()?;
                let agreed = pair.client.negotiated_alpn().unwrap();
                assert_eq!(agreed, pair.server.negotiated_alpn().unwrap());
                Ok(agreed.map(|name| String::from_utf8(name).unwrap()))
            };
            let agreed = |offered: &[&str], ours: &[&str]| -> Option<String> {
                shaken(offered, ours).unwrap()
            };
            assert_eq!(
                agreed(&["http/1.1", "h2"], &["h2", "http/1.1"]).as_deref(),
                Some("h2")
            );
            assert_eq!(
                agreed(&["http/1.1"], &["h2", "http/1.1"]).as_deref(),
                Some("http/1.1")
            );
            // What native-tls's server cannot refuse.
            match shaken(&["imap"], &["h2"]) {
                Ok(agreed) => assert_eq!((agreed, server_engine), (None, NativeTls)),
                Err(error) => {
                    assert_eq!(server_engine, OpenSsl);
                    assert_eq!(reason(&error), Reason::NothingInCommon);
                }
            }
            assert_eq!(agreed(&["h2"], &[]), None);
            assert_eq!(agreed(&[], &["h2"]), None);
        }
    }
    let context = client_context(OpenSsl);
    assert_eq!(
        kind(context.set_alpn_protocols(&[""])),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        kind(context.set_alpn_protocols(&["x".repeat(256)])),
        ErrorKind::InvalidInput
    );
}

#[test]
fn the_server_chooses_its_certificate_by_name() {
    let other = server_context_with(OpenSsl, &AUTHORITY.leaf("other.example"));
    other.set_alpn_protocols(&["other"]).unwrap();
    let server = server_context(OpenSsl);
    server.set_alpn_protocols(&["default"]).unwrap();
    let chosen = other.clone();
    server
        .set_server_name_callback(move |name| match name {
            Some("other.example") => Ok(Some(chosen.clone())),
            Some("refused.example") => Err(ErrorKind::NotFound.into()),
            Some("panic.example") => panic!("in the callback"),
            _ => Ok(None),
        })
        .unwrap();
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let client = client_context(OpenSsl);
        client.set_maximum_version(version).unwrap();
        client.set_alpn_protocols(&["default", "other"]).unwrap();
        let meet = |name: &str| {
            let mut pair = Pair {
                client: client.pipe(Some(name)).unwrap(),
                server: server.pipe(None).unwrap(),
            };
            let answer = pair.handshake();
            (pair, answer)
        };
        for (name, protocol) in [("localhost", "default"), ("other.example", "other")] {
            let (pair, answer) = meet(name);
            answer.unwrap();
            assert_eq!(shown_name(&pair), name);
            assert_eq!(
                pair.client.negotiated_alpn().unwrap().as_deref(),
                Some(protocol.as_bytes())
            );
            assert_eq!(pair.server.server_name().unwrap().as_deref(), Some(name));
        }
        for (name, alert) in [("refused.example", 112), ("panic.example", 80)] {
            let (mut pair, answer) = meet(name);
            answer.unwrap_err();
            assert_eq!(
                reason(&pair.client.handshake().unwrap_err()),
                Reason::Alert(alert),
                "{name}"
            );
        }
    }
}

#[test]
fn a_context_chosen_by_name_brings_its_own_demand_for_certificates() {
    let strict = server_context_with(OpenSsl, &AUTHORITY.leaf("strict.example"));
    strict
        .load_verify_locations(VerifyLocation::Bytes(AUTHORITY.pem.as_bytes()))
        .unwrap();
    strict.set_verify_mode(VerifyMode::Required).unwrap();
    let server = server_context(OpenSsl);
    server
        .set_server_name_callback(move |name| {
            Ok((name == Some("strict.example")).then(|| strict.clone()))
        })
        .unwrap();
    let client = client_context(OpenSsl);
    let meet = |name: &str| {
        let mut pair = Pair {
            client: client.pipe(Some(name)).unwrap(),
            server: server.pipe(None).unwrap(),
        };
        pair.handshake()
    };
    meet("localhost").unwrap();
    assert_eq!(
        reason(&meet("strict.example").unwrap_err()),
        Reason::CertificateMissing
    );
    let leaf = AUTHORITY.leaf("a client");
    client
        .load_cert_chain_bytes(leaf.chain.as_bytes(), leaf.key.as_bytes(), None)
        .unwrap();
    meet("strict.example").unwrap();
}

/// A context that demands a certificate issued by `authority`.
fn demanding(authority: &Authority) -> SslContext {
    let context = server_context(OpenSsl);
    context
        .load_verify_locations(VerifyLocation::Bytes(authority.pem.as_bytes()))
        .unwrap();
    context.set_verify_mode(VerifyMode::Required).unwrap();
    context
}

/// A client that meets `first`, and then comes with its session when `server` chooses `second` for it.
///
/// A hostile client would ask for another name the second time. Ours keeps sessions by name, so the server
/// changes its mind about the name instead.
fn cross_over(
    version: TlsVersion,
    server: SslContext,
    second: &SslContext,
    leaf: &Leaf,
) -> io::Result<bool> {
    use std::sync::atomic::{AtomicBool, Ordering};
    let crossed = Arc::new(AtomicBool::new(false));
    let (crosses, chosen) = (Arc::clone(&crossed), second.clone());
    server
        .set_server_name_callback(move |_| {
            Ok(crosses.load(Ordering::SeqCst).then(|| chosen.clone()))
        })
        .unwrap();
    let client = client_context(OpenSsl);
    client.set_maximum_version(version).unwrap();
    client
        .load_cert_chain_bytes(leaf.chain.as_bytes(), leaf.key.as_bytes(), None)
        .unwrap();
    let mut first = Pair::new(&client, &server);
    first.handshake().unwrap();
    first.settle();
    let session = first.client.session().unwrap().unwrap();
    let again = || {
        let mut pair = Pair {
            client: client.pipe_resuming(Some("localhost"), &session).unwrap(),
            server: server.pipe(None).unwrap(),
        };
        pair.handshake()
            .map(|()| pair.server.session_reused().unwrap())
    };
    assert!(again().unwrap(), "{version}");
    crossed.store(true, Ordering::SeqCst);
    again()
}

#[test]
fn a_session_opens_no_context_chosen_by_name_that_demands_more() {
    let stranger = Authority::new("another authority");
    let (known, other) = (AUTHORITY.leaf("a client"), stranger.leaf("a client"));
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        // Made without a certificate, against one that demands it.
        let answer = cross_over(
            version,
            server_context(OpenSsl),
            &demanding(&AUTHORITY),
            &known,
        );
        assert!(answer.is_err(), "{version}");
    }
    // Made with a certificate of an authority that the other context does not trust.
    let answer = cross_over(
        TlsVersion::Tls13,
        demanding(&stranger),
        &demanding(&AUTHORITY),
        &other,
    );
    assert!(answer.is_err());
}

#[test]
fn a_context_chosen_by_name_that_demands_certificates_meets_its_clients_again() {
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let (server, strict) = (server_context(OpenSsl), demanding(&AUTHORITY));
        server
            .set_server_name_callback(move |_| Ok(Some(strict.clone())))
            .unwrap();
        let client = client_context(OpenSsl);
        client.set_maximum_version(version).unwrap();
        let leaf = AUTHORITY.leaf("a client");
        client
            .load_cert_chain_bytes(leaf.chain.as_bytes(), leaf.key.as_bytes(), None)
            .unwrap();
        let mut pair = Pair::new(&client, &server);
        for _ in 0..3 {
            pair.handshake().unwrap();
            pair.settle();
            let session = pair.client.session().unwrap().unwrap();
            pair = Pair {
                client: client.pipe_resuming(Some("localhost"), &session).unwrap(),
                server: server.pipe(None).unwrap(),
            };
        }
    }
}

#[test]
fn clients_are_asked_for_certificates() {
    let known = AUTHORITY.leaf("a known client");
    let stranger = Authority::new("somebody else").leaf("a stranger");
    for client_engine in [OpenSsl, NativeTls] {
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let meet = |mode: VerifyMode, leaf: Option<&Leaf>| {
                let server = server_context(OpenSsl);
                server
                    .load_verify_locations(VerifyLocation::Bytes(AUTHORITY.pem.as_bytes()))
                    .unwrap();
                server.set_verify_mode(mode).unwrap();
                let client = client_context(client_engine);
                client.set_maximum_version(version).unwrap();
                if let Some(leaf) = leaf {
                    client
                        .load_cert_chain_bytes(leaf.chain.as_bytes(), leaf.key.as_bytes(), None)
                        .unwrap();
                }
                let mut pair = Pair::new(&client, &server);
                let answer = pair.handshake();
                let shown = pair.server.peer_certificate().unwrap();
                (
                    answer,
                    shown.map(|shown| shown.details().unwrap().subject[0].1.clone()),
                )
            };
            let name = Some("a known client".to_owned());
            for mode in [VerifyMode::Optional, VerifyMode::Required] {
                let (answer, shown) = meet(mode, Some(&known));
                answer.unwrap();
                assert_eq!(shown, name, "{client_engine:?} {version}");
                let (answer, shown) = meet(mode, Some(&stranger));
                assert_eq!(
                    reason(&answer.unwrap_err()),
                    Reason::UnknownIssuer,
                    "{client_engine:?} {version}"
                );
                assert_eq!(shown, None);
            }
            let (answer, shown) = meet(VerifyMode::Optional, None);
            answer.unwrap();
            assert_eq!(shown, None);
            let (answer, _) = meet(VerifyMode::Required, None);
            assert_eq!(
                reason(&answer.unwrap_err()),
                Reason::CertificateMissing,
                "{client_engine:?} {version}"
            );
            let (answer, shown) = meet(VerifyMode::None, Some(&known));
            answer.unwrap();
            assert_eq!(shown, None, "nobody asked");
        }
    }
}

#[test]
fn sessions_are_resumed() {
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        for mode in [VerifyMode::None, VerifyMode::Required] {
            let server = server_context(OpenSsl);
            server
                .load_verify_locations(VerifyLocation::Bytes(AUTHORITY.pem.as_bytes()))
                .unwrap();
            server.set_verify_mode(mode).unwrap();
            let client = client_context(OpenSsl);
            client.set_maximum_version(version).unwrap();
            let leaf = AUTHORITY.leaf("a client");
            client
                .load_cert_chain_bytes(leaf.chain.as_bytes(), leaf.key.as_bytes(), None)
                .unwrap();
            let mut first = Pair::new(&client, &server);
            assert!(first.client.session().unwrap().is_none());
            first.handshake().unwrap();
            first.settle();
            let session = first.client.session().unwrap().expect("a session");
            assert!(first.server.session().unwrap().is_none());
            // The first connection is simply dropped: that must not spoil it.
            drop(first);
            let meet = || {
                let mut pair = Pair {
                    client: client.pipe_resuming(Some("localhost"), &session).unwrap(),
                    server: server.pipe(None).unwrap(),
                };
                pair.handshake().unwrap();
                assert_eq!(
                    pair.client.session_reused().unwrap(),
                    pair.server.session_reused().unwrap()
                );
                // Who the peer is, is known from the first time.
                assert!(pair.client.peer_certificate().unwrap().is_some());
                assert_eq!(
                    pair.server.peer_certificate().unwrap().is_some(),
                    mode == VerifyMode::Required
                );
                pair.client.session_reused().unwrap()
            };
            assert!(meet(), "{version} {mode:?}");
            // After a change of the client's settings the session is not offered.
            client.set_alpn_protocols(&["h2"]).unwrap();
            assert!(!meet(), "{version} {mode:?}");
        }
    }
}

#[test]
fn a_session_of_another_host_is_still_checked_for_the_host() {
    let server = server_context(OpenSsl);
    let client = client_context(OpenSsl);
    let mut first = Pair::new(&client, &server);
    first.handshake().unwrap();
    first.settle();
    let session = first.client.session().unwrap().unwrap();
    let mut pair = Pair {
        client: client
            .pipe_resuming(Some("elsewhere.example"), &session)
            .unwrap(),
        server: server.pipe(None).unwrap(),
    };
    assert_eq!(
        reason(&pair.handshake().unwrap_err()),
        Reason::HostnameMismatch
    );
}

#[test]
fn ciphers_can_be_chosen() {
    let client = client_context(OpenSsl);
    client.set_maximum_version(TlsVersion::Tls12).unwrap();
    client.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305").unwrap();
    let mut pair = Pair::new(&client, &server_context(OpenSsl));
    pair.handshake().unwrap();
    assert_eq!(
        pair.server.cipher().unwrap().unwrap().name,
        "ECDHE-ECDSA-CHACHA20-POLY1305"
    );
    client.set_ciphers("NO-SUCH-CIPHER").unwrap();
    assert_eq!(kind(client.pipe(Some("localhost"))), ErrorKind::InvalidData);
    // No cipher in common is called so at the server, and the client hears of it.
    client.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256").unwrap();
    let mut pair = Pair::new(&client, &server_context(OpenSsl));
    let error = pair.handshake().unwrap_err();
    assert_eq!(reason(&error), Reason::NothingInCommon, "{error}");
    assert_eq!(
        reason(&pair.client.handshake().unwrap_err()),
        Reason::Alert(40)
    );
}

#[test]
fn a_client_without_a_protocol_in_common_gets_the_alert() {
    for client_engine in [OpenSsl, NativeTls] {
        let (client, server) = (client_context(client_engine), server_context(OpenSsl));
        client.set_alpn_protocols(&["imap"]).unwrap();
        server.set_alpn_protocols(&["h2"]).unwrap();
        let mut pair = Pair::new(&client, &server);
        pair.handshake().unwrap_err();
        // no_application_protocol (RFC 7301, 3.2).
        let error = pair.client.handshake().unwrap_err();
        assert_eq!(reason(&error), Reason::Alert(120));
    }
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("in the drop of a payload");
    }
}

struct WaitsInDrop;

impl Drop for WaitsInDrop {
    fn drop(&mut self) {
        wait();
    }
}

/// An error of a user's, and what it does when it is shown and when it is dropped.
#[derive(Debug)]
struct Acting(fn(), fn());

impl std::fmt::Display for Acting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (self.0)();
        f.write_str("of no use")
    }
}

impl std::error::Error for Acting {}

impl Drop for Acting {
    fn drop(&mut self) {
        (self.1)();
    }
}

fn refuse(shown: fn(), dropped: fn()) -> io::Result<Option<SslContext>> {
    Err(io::Error::other(Acting(shown, dropped)))
}

fn wait() {
    crate::thread::sleep(std::time::Duration::from_secs(3600));
}

#[test]
fn a_callback_that_waits_or_refuses_fails_the_handshake_with_its_words() {
    type Callback = fn(Option<&str>) -> io::Result<Option<SslContext>>;
    let cases: [(Callback, &str, u8); 11] = [
        (
            |_| {
                wait();
                Ok(None)
            },
            "the server-name callback panicked: a TLS server-name callback must not wait",
            80,
        ),
        (
            |_| {
                let (_kept, never) = crate::channel::bounded::<()>(1);
                let _ = never.recv();
                Ok(None)
            },
            "the server-name callback panicked: a TLS server-name callback must not wait",
            80,
        ),
        (
            |_| {
                // Its threads would have to be waited for.
                crate::thread::scope(|scope| drop(scope.spawn(|| ())));
                Ok(None)
            },
            "the server-name callback panicked: a TLS server-name callback must not wait",
            80,
        ),
        (
            |_| std::panic::panic_any(7),
            "the server-name callback panicked",
            80,
        ),
        (
            |_| std::panic::panic_any(WaitsInDrop),
            "the server-name callback panicked",
            80,
        ),
        (
            |_| std::panic::panic_any(PanicsInDrop),
            "the server-name callback panicked",
            80,
        ),
        (
            |_| Err(io::Error::other("of no use")),
            "the server-name callback refused the name: of no use",
            112,
        ),
        (
            |_| refuse(wait, || ()),
            "the server-name callback panicked: a TLS server-name callback must not wait",
            80,
        ),
        (
            |_| refuse(|| (), wait),
            "the server-name callback panicked: a TLS server-name callback must not wait",
            80,
        ),
        (
            |_| refuse(|| panic!("shown"), || ()),
            "the server-name callback panicked: shown",
            80,
        ),
        (
            |_| refuse(|| (), || panic!("dropped")),
            "the server-name callback panicked: dropped",
            80,
        ),
    ];
    // An OS thread reads a file by itself, a green thread has it read.
    let reads: Callback = |_| crate::fs::read("/dev/null").map(|_| None);
    let (_, words, alert) = cases[0];
    let on_green = cases.into_iter().chain([(reads, words, alert)]);
    let test = |cases: &mut dyn Iterator<Item = (Callback, &str, u8)>| {
        for (callback, words, alert) in cases {
            let server = server_context(OpenSsl);
            server.set_server_name_callback(callback).unwrap();
            let mut pair = Pair::new(&client_context(OpenSsl), &server);
            pair.handshake().unwrap_err();
            let error = pair.server.handshake().unwrap_err();
            assert_eq!(error.to_string(), words);
            assert_eq!(reason(&error), Reason::NameRefused);
            let told = pair.client.handshake().unwrap_err();
            assert_eq!(reason(&told), Reason::Alert(alert));
        }
    };
    test(&mut cases.into_iter());
    let mut on_green = on_green;
    crate::run(move || test(&mut on_green));
}

#[test]
fn a_kill_that_comes_during_the_callback_acts_at_the_next_wait() {
    let server = server_context(OpenSsl);
    let victim: Arc<std::sync::Mutex<Option<crate::thread::Thread>>> = Arc::default();
    let named = victim.clone();
    server
        .set_server_name_callback(move |_| {
            let victim = named.lock().unwrap().take().unwrap();
            // As by an OS thread, at this moment.
            std::thread::spawn(move || crate::debug::kill(victim.id().as_u64().get()))
                .join()
                .unwrap()
                .unwrap();
            Ok(None)
        })
        .unwrap();
    let thread = crate::thread::spawn(move || {
        *victim.lock().unwrap() = Some(crate::thread::current());
        let mut pair = Pair::new(&client_context(OpenSsl), &server);
        pair.handshake().unwrap();
        crate::thread::sleep(std::time::Duration::from_secs(3600));
    });
    let limit = std::time::Duration::from_secs(60);
    let ended = test_support::bounded("a kill", limit, || thread.join().unwrap_err());
    assert!(ended.is::<greenhub::Killed>());
}
