//! Peers that are broken, hostile or something else altogether: always an error, always bounded.

use proptest::prelude::*;

use super::*;

/// A fresh pipe of either engine in either role.
fn each_role(mut check: impl FnMut(SslPipe, &str)) {
    for setup in SETUPS {
        let pair = Pair::of(setup);
        check(pair.client, &format!("client of {setup:?}"));
        check(pair.server, &format!("server of {setup:?}"));
    }
}

/// Feeds all of `bytes` while the handshake goes on; its error, if any came.
fn handshake_with(pipe: &mut SslPipe, bytes: &[u8]) -> io::Result<Progress<()>> {
    let mut rest = bytes;
    let mut progress = pipe.handshake()?;
    while !rest.is_empty() && progress == Progress::WantRead {
        let fed = pipe.feed(rest);
        assert!(fed > 0, "a pipe that wants to read has room");
        rest = &rest[fed..];
        progress = pipe.handshake()?;
        pipe.drain_to(&mut io::sink())?;
    }
    Ok(progress)
}

#[test]
fn p13e_g8_what_is_no_tls_is_called_so() {
    let speakers: [&[u8]; 5] = [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT localhost:443 HTTP/1.1\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"220 mail.example ESMTP ready\r\n",
    ];
    for words in speakers {
        each_role(|mut pipe, role| {
            let error = error_of(handshake_with(&mut pipe, words));
            assert_eq!(reason(&error), Reason::NotTls, "{role}: {error}");
            assert!(error.to_string().contains("does not speak TLS"), "{error}");
            for _ in 0..2 {
                assert_eq!(
                    reason(&error_of(pipe.handshake())),
                    Reason::NotTls,
                    "{role}"
                );
                assert_eq!(
                    reason(&error_of(pipe.read(&mut [0; 8]))),
                    Reason::NotTls,
                    "{role}"
                );
            }
        });
    }
}

#[test]
fn r13_what_is_no_tls_may_come_byte_by_byte() {
    each_role(|mut pipe, role| {
        let mut error = None;
        for byte in b"SSH-2.0-OpenSSH_9.2p1\r\n" {
            pipe.feed(&[*byte]);
            match pipe.handshake() {
                Ok(progress) => assert_eq!(progress, Progress::WantRead, "{role}"),
                Err(found) => {
                    error = Some(found);
                    break;
                }
            }
        }
        assert_eq!(reason(&error.expect("an error")), Reason::NotTls, "{role}");
    });
}

#[test]
fn t17_a_handshake_cut_at_any_byte_ends_in_an_error() {
    for setup in SETUPS {
        for server_is_cut in [true, false] {
            for offset in 0.. {
                let mut pair = Pair::of(setup);
                if cut_handshake(&mut pair, server_is_cut, offset, setup) {
                    break;
                }
            }
        }
    }
}

/// Shakes hands until `offset` bytes have come from one end, then lets the other see the end of the transport.
/// Whether the handshake was over before that.
fn cut_handshake(pair: &mut Pair, server_is_cut: bool, offset: usize, setup: Setup) -> bool {
    let Pair { client, server } = pair;
    let (speaker, listener) = if server_is_cut {
        (server, client)
    } else {
        (client, server)
    };
    let mut left = offset;
    loop {
        let heard = listener.handshake().unwrap();
        if heard == Progress::Done(()) {
            return true;
        }
        assert_eq!(heard, Progress::WantRead);
        carry(listener, speaker);
        let _ = speaker.handshake().unwrap();
        let flight = drain(speaker);
        let part = &flight[..left.min(flight.len())];
        left -= part.len();
        assert_eq!(listener.feed(part), part.len());
        if part.len() < flight.len() {
            listener.feed_eof();
            for _ in 0..2 {
                let error = error_of(listener.handshake());
                assert_eq!(
                    error.kind(),
                    ErrorKind::UnexpectedEof,
                    "{setup:?} at {offset}: {error}"
                );
            }
            assert_eq!(
                error_of(listener.read(&mut [0; 8])).kind(),
                ErrorKind::UnexpectedEof
            );
            return false;
        }
    }
}

#[test]
fn oversized_records_are_refused() {
    // Handshake, alert and data records that claim more than any record may hold.
    for kind in [22, 21, 23] {
        let mut record = vec![kind, 3, 3, 0xff, 0xff];
        record.resize(70_000, 1);
        each_role(|mut pipe, role| {
            let error = error_of(handshake_with(&mut pipe, &record));
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{role}: {error}");
        });
        for setup in SETUPS {
            let mut pair = Pair::wrapped(setup);
            let mut rest = &record[..];
            let error = loop {
                rest = &rest[pair.client.feed(rest)..];
                match pair.client.read(&mut [0; 8]) {
                    Ok(progress) => assert_eq!(progress, Progress::WantRead, "{setup:?}"),
                    Err(error) => break error,
                }
            };
            assert_eq!(reason(&error), Reason::Protocol, "{setup:?}: {error}");
        }
    }
}

#[test]
fn a_handshake_message_without_end_is_refused_in_bounded_memory() {
    // A ClientHello of 16 MiB less one byte, in records of 4 KiB.
    let mut record = vec![22, 3, 3, 0x10, 0];
    record.resize(5 + 0x1000, 0);
    let mut first = record.clone();
    first[5..9].copy_from_slice(&[1, 0xff, 0xff, 0xff]);
    for setup in SETUPS {
        let mut server = Pair::of(setup).server;
        let mut fed = first.len();
        let mut answer = handshake_with(&mut server, &first);
        while let Ok(progress) = answer {
            assert_eq!(progress, Progress::WantRead);
            assert!(
                fed < 512 * 1024,
                "{setup:?}: still listening after {fed} bytes"
            );
            fed += record.len();
            answer = handshake_with(&mut server, &record);
        }
        assert_eq!(error_of(answer).kind(), ErrorKind::InvalidData, "{setup:?}");
    }
}

#[test]
fn empty_records_without_end_are_refused() {
    for kind in [22, 21, 23] {
        each_role(|mut pipe, role| {
            let flood: Vec<u8> = [kind, 3, 3, 0, 0].repeat(10_000);
            let error = error_of(handshake_with(&mut pipe, &flood));
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{role}: {error}");
        });
    }
}

#[test]
fn one_byte_records_are_read_like_any_other() {
    for setup in SETUPS {
        let mut pair = Pair::wrapped(setup);
        let mut read = Vec::new();
        for round in 0..3_000_u32 {
            write(&mut pair.client, &[round as u8]);
            if round % 100 == 99 {
                carry(&mut pair.client, &mut pair.server);
                read.extend(read_all(&mut pair.server));
            }
        }
        let expected: Vec<u8> = (0..3_000_u32).map(|round| round as u8).collect();
        assert_eq!(read, expected, "{setup:?}");
    }
}

#[test]
fn a_handshake_with_one_byte_changed_ends_and_never_passes_other_data() {
    for setup in SETUPS {
        for place in (0..2_600).step_by(7) {
            let mut pair = Pair::of(setup);
            let mut passed = 0;
            let mut over = [false; 2];
            for _ in 0..10 {
                let answer = pair.client.handshake();
                over[0] = answer.is_err() || pair.client.is_handshaken();
                spoil(&mut pair.client, &mut pair.server, &mut passed, place);
                let answer = pair.server.handshake();
                over[1] = answer.is_err() || pair.server.is_handshaken();
                spoil(&mut pair.server, &mut pair.client, &mut passed, place);
            }
            // An end that still waits has been fed a record that claims to be longer; it ends with its transport.
            for (pipe, over) in [(&mut pair.client, over[0]), (&mut pair.server, over[1])] {
                if !over {
                    pipe.feed_eof();
                    error_of(pipe.handshake());
                }
                if pipe.is_handshaken() {
                    assert!(
                        !matches!(pipe.read(&mut [0; 64]), Ok(Progress::Done(1..))),
                        "{setup:?} at {place}"
                    );
                }
            }
        }
    }
}

/// Carries ciphertext, changing the byte at `place` of all that was carried.
fn spoil(from: &mut SslPipe, to: &mut SslPipe, passed: &mut usize, place: usize) {
    let mut bytes = drain(from);
    if let Some(byte) = place
        .checked_sub(*passed)
        .and_then(|place| bytes.get_mut(place))
    {
        *byte ^= 0x55;
    }
    *passed += bytes.len();
    let fed = to.feed(&bytes);
    assert_eq!(fed, bytes.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_shake_hands_nor_become_plaintext(
        setup in 0..SETUPS.len(),
        header in prop_oneof![Just(vec![22, 3, 1]), Just(vec![22, 3, 3]), Just(vec![23, 3, 3]), Just(vec![21, 3, 3]), Just(vec![])],
        garbage in prop::collection::vec(any::<u8>(), 0..40_000),
    ) {
        let bytes = [header, garbage].concat();
        let Pair { mut client, mut server } = Pair::of(SETUPS[setup]);
        for pipe in [&mut client, &mut server] {
            let answer = handshake_with(pipe, &bytes);
            prop_assert!(!matches!(answer, Ok(Progress::Done(()))));
            pipe.feed_eof();
            prop_assert!(pipe.handshake().is_err());
            prop_assert!(pipe.outgoing() < OUTGOING_MARK);
        }
        let Pair { mut client, mut server } = Pair::wrapped(SETUPS[setup]);
        for pipe in [&mut client, &mut server] {
            let mut rest = &bytes[..];
            loop {
                rest = &rest[pipe.feed(rest)..];
                match pipe.read(&mut [0; 64]) {
                    Ok(progress) => {
                        prop_assert_eq!(progress, Progress::WantRead);
                        if rest.is_empty() {
                            break;
                        }
                    }
                    Err(error) => {
                        prop_assert_eq!(error.kind(), ErrorKind::InvalidData);
                        break;
                    }
                }
            }
        }
    }
}
