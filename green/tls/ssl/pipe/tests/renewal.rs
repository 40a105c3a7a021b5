#![expect(
    unsafe_code,
    reason = "the openssl crate has no safe name for key updates and renegotiation"
)]
//! New keys under way: TLS 1.3 key updates, whose answers fill `outgoing` without any write of ours, and
//! renegotiation in TLS 1.2, where a write must first read.

use std::ffi::c_int;

use foreign_types::ForeignTypeRef;
use openssl_sys::SSL;

use super::*;
use crate::ssl::engine::openssl::OpenSslEngine;
use crate::ssl::record::INCOMING_CAPACITY;

unsafe extern "C" {
    fn SSL_key_update(ssl: *mut SSL, update_type: c_int) -> c_int;
    fn SSL_renegotiate(ssl: *mut SSL) -> c_int;
}

const SSL_KEY_UPDATE_REQUESTED: c_int = 1;

fn raw(pipe: &SslPipe) -> *mut SSL {
    pipe.engine
        .as_any()
        .downcast_ref::<OpenSslEngine>()
        .expect("OpenSSL's engine")
        .ssl()
        .as_ptr()
}

/// Puts a request for new keys, to be answered by the peer, in `pipe`'s outgoing.
fn update_keys(pipe: &mut SslPipe) {
    let ssl = raw(pipe);
    // SAFETY: the pointer is that of a live connection, which nothing else uses during the call.
    let accepted = unsafe { SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) };
    assert_eq!(accepted, 1);
    handshake_now(pipe);
}

/// Has `pipe`, a server, ask its peer for a new handshake.
fn renegotiate(pipe: &mut SslPipe) {
    let ssl = raw(pipe);
    // SAFETY: as in `update_keys`.
    let accepted = unsafe { SSL_renegotiate(ssl) };
    assert_eq!(accepted, 1);
    handshake_now(pipe);
}

/// A wrapped pipe has no call for this: `handshake` is done there.
fn handshake_now(pipe: &mut SslPipe) {
    let progress = pipe.engine.handshake().unwrap();
    assert!(matches!(progress, Progress::Done(()) | Progress::WantRead));
}

/// Setups with a server of OpenSSL's, which can be asked for what native-tls has no word for.
fn setups(version: TlsVersion) -> impl Iterator<Item = Setup> {
    SETUPS
        .into_iter()
        .filter(move |setup| setup.version == version && setup.server == EngineKind::OpenSsl)
}

#[test]
fn a_read_answers_a_key_update_and_the_answer_must_leave() {
    for setup in setups(TlsVersion::Tls13) {
        let mut pair = Pair::wrapped(setup);
        for round in 0..100_u8 {
            update_keys(&mut pair.server);
            write(&mut pair.server, &[round; 50]);
            carry(&mut pair.server, &mut pair.client);
            assert_eq!(read_all(&mut pair.client), [round; 50], "{setup:?}");
            // OpenSSL holds the answer back until it is called again: here by a read of a further update.
            update_keys(&mut pair.server);
            carry(&mut pair.server, &mut pair.client);
            assert_eq!(pair.client.read(&mut [0; 8]).unwrap(), Progress::WantRead);
            assert!(pair.client.outgoing() > 0, "{setup:?}: no answer");
            write(&mut pair.client, &[round; 60]);
            carry(&mut pair.client, &mut pair.server);
            assert_eq!(read_all(&mut pair.server), [round; 60], "{setup:?}");
        }
    }
}

#[test]
fn a_storm_of_key_updates_stops_at_the_limit_and_goes_on_when_drained() {
    for setup in setups(TlsVersion::Tls13) {
        let mut pair = Pair::wrapped(setup);
        let mut answers = Vec::new();
        let mut stopped = false;
        for _ in 0..10_000 {
            update_keys(&mut pair.server);
            let mut storm = &drain(&mut pair.server)[..];
            while !storm.is_empty() {
                storm = &storm[pair.client.feed(storm)..];
                match pair.client.read(&mut [0; 8]).unwrap() {
                    Progress::WantRead => {}
                    Progress::WantWrite => {
                        stopped = true;
                        assert_eq!(pair.client.read(&mut [0; 8]).unwrap(), Progress::WantWrite);
                        answers = drain(&mut pair.client);
                        assert!(answers.len() >= OUTGOING_LIMIT);
                    }
                    Progress::Done(count) => panic!("{count} bytes from nowhere"),
                }
                // What one read may add is bounded by what was fed to it.
                assert!(
                    pair.client.outgoing() < OUTGOING_LIMIT + 2 * INCOMING_CAPACITY,
                    "{setup:?}"
                );
            }
            if stopped {
                break;
            }
        }
        assert!(stopped, "{setup:?}: the limit was never met");
        // Nothing was lost by the stop.
        answers.extend(drain(&mut pair.client));
        let mut rest = &answers[..];
        while !rest.is_empty() {
            rest = &rest[pair.server.feed(rest)..];
            assert_eq!(pair.server.read(&mut [0; 8]).unwrap(), Progress::WantRead);
        }
        write(&mut pair.server, b"alive");
        carry(&mut pair.server, &mut pair.client);
        assert_eq!(read_all(&mut pair.client), b"alive", "{setup:?}");
    }
}

#[test]
fn answers_that_nobody_can_take_do_not_stop_reading() {
    for setup in setups(TlsVersion::Tls13) {
        let mut pair = Pair::wrapped(setup);
        write(&mut pair.client, b"lost");
        pair.client.drain_to(&mut Broken).unwrap_err();
        for round in 0..6_000_u32 {
            update_keys(&mut pair.server);
            write(&mut pair.server, &round.to_be_bytes());
            carry(&mut pair.server, &mut pair.client);
            assert_eq!(read_all(&mut pair.client), round.to_be_bytes(), "{setup:?}");
            assert_eq!(pair.client.outgoing(), 0, "{setup:?}");
        }
    }
}

struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_outgoing_of_our_own_does_not_stop_reading() {
    // Both ends write all they can and neither has drained: each must still be able to read.
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        let full = loop {
            match pair.client.write(&[1; 100_000]).unwrap() {
                Progress::Done(_) => {}
                full => break full,
            }
        };
        assert_eq!(full, Progress::WantWrite);
        write(&mut pair.server, b"read me");
        carry(&mut pair.server, &mut pair.client);
        assert_eq!(read_all(&mut pair.client), b"read me", "{setup:?}");
    }
}

#[test]
fn a_write_during_renegotiation_wants_to_read_and_may_come_again_with_other_bytes() {
    for setup in setups(TlsVersion::Tls12) {
        let mut pair = Pair::wrapped(setup);
        renegotiate(&mut pair.server);
        carry(&mut pair.server, &mut pair.client);
        // The request is met by a read; the client's hello waits in its outgoing.
        assert_eq!(
            pair.client.read(&mut [0; 8]).unwrap(),
            Progress::WantRead,
            "{setup:?}"
        );
        assert!(pair.client.outgoing() > 0, "{setup:?}");
        assert_eq!(
            pair.client.write(b"a longer message").unwrap(),
            Progress::WantRead,
            "{setup:?}"
        );
        let mut rounds = 0;
        loop {
            carry(&mut pair.client, &mut pair.server);
            assert_eq!(
                pair.server.read(&mut [0; 8]).unwrap(),
                Progress::WantRead,
                "{setup:?}"
            );
            carry(&mut pair.server, &mut pair.client);
            match pair.client.write(b"short").unwrap() {
                Progress::Done(count) => break assert_eq!(count, 5, "{setup:?}"),
                wanted => assert_eq!(wanted, Progress::WantRead, "{setup:?}"),
            }
            rounds += 1;
            assert!(rounds < 10, "{setup:?}: never done");
        }
        carry(&mut pair.client, &mut pair.server);
        assert_eq!(read_all(&mut pair.server), b"short", "{setup:?}");
    }
}
