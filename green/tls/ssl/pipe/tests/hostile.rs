//! Peers that are broken, hostile or something else altogether: always an error, always bounded.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::ssl::record::{self, INCOMING_CAPACITY};

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
fn what_is_no_tls_is_called_so() {
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
fn a_client_that_gets_its_own_words_back_is_told_so() {
    for setup in SETUPS {
        let mut client = Pair::of(setup).client;
        assert_eq!(client.handshake().unwrap(), Progress::WantRead);
        let greeting = drain(&mut client);
        let mut error = None;
        for byte in greeting {
            client.feed(&[byte]);
            error = error.or(client.handshake().err());
        }
        let error = error.expect("an error");
        assert_eq!(reason(&error), Reason::Protocol, "{setup:?}: {error}");
        let told = error.to_string();
        assert!(
            told.contains("sends back what it gets"),
            "{setup:?}: {told}"
        );
    }
}

#[test]
fn what_is_no_tls_may_come_byte_by_byte() {
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

/// Whether every place is tried; by default every fifth is, of what comes late.
fn full() -> bool {
    std::env::var("GREEN_TRIALS").is_ok_and(|trials| trials == "full")
}

#[test]
fn a_handshake_cut_at_any_byte_ends_in_an_error() {
    let step = if full() { 1 } else { 5 };
    for (first, setup) in SETUPS.into_iter().enumerate() {
        for server_is_cut in [true, false] {
            // Each byte of what comes first, whose lengths and kinds decide about all the rest.
            for offset in (0..64).chain((64 + first % step..).step_by(step)) {
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
        for place in (0..2_600).step_by(if full() { 7 } else { 21 }) {
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

/// What somebody on the way does to the records of a session.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, Index, u8),
    Cut(Index, Index),
    Drop(Index),
    Repeat(Index),
    Swap(Index, Index),
    Insert(Index, Vec<u8>),
}

impl Change {
    fn make(&self, records: &mut Vec<Vec<u8>>) {
        if records.is_empty() {
            return;
        }
        let count = records.len();
        match self {
            Change::Flip(which, place, bits) => {
                let record = &mut records[which.index(count)];
                if !record.is_empty() {
                    let place = place.index(record.len());
                    record[place] ^= bits;
                }
            }
            Change::Cut(which, place) => {
                let record = &mut records[which.index(count)];
                record.truncate(place.index(record.len() + 1));
            }
            Change::Drop(which) => drop(records.remove(which.index(count))),
            Change::Repeat(which) => {
                let which = which.index(count);
                records.insert(which, records[which].clone());
            }
            Change::Swap(one, other) => records.swap(one.index(count), other.index(count)),
            Change::Insert(which, bytes) => records.insert(which.index(count), bytes.clone()),
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        3 => (index(), index(), 1..=u8::MAX).prop_map(|(a, b, bits)| Change::Flip(a, b, bits)),
        1 => (index(), index()).prop_map(|(a, b)| Change::Cut(a, b)),
        1 => index().prop_map(Change::Drop),
        1 => index().prop_map(Change::Repeat),
        1 => (index(), index()).prop_map(|(a, b)| Change::Swap(a, b)),
        1 => (index(), prop::collection::vec(any::<u8>(), 1..100)).prop_map(|(a, bytes)| Change::Insert(a, bytes)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fuzzed_records_end_in_an_error_and_pass_nothing_that_was_not_sent(
        setup in 0..SETUPS.len(),
        from_client in any::<bool>(),
        sizes in prop::collection::vec(prop_oneof![1..4_usize, 1..record::PLAINTEXT], 1..10),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let Pair { client, server } = Pair::wrapped(SETUPS[setup]);
        let (mut sender, mut subject) = if from_client { (client, server) } else { (server, client) };
        let mut sent = Vec::new();
        let mut records = Vec::new();
        for (number, size) in sizes.into_iter().enumerate() {
            let plaintext = vec![number as u8; size];
            write(&mut sender, &plaintext);
            records.push(drain(&mut sender));
            sent.extend(plaintext);
        }
        changes.iter().for_each(|change| change.make(&mut records));
        let wire = records.concat();

        let mut rest = &wire[..];
        let mut read = Vec::new();
        let mut part = [0; 1000];
        let kind = loop {
            let fed = subject.feed(rest);
            rest = &rest[fed..];
            prop_assert!(subject.bio.wire().incoming.len() <= INCOMING_CAPACITY);
            prop_assert!(subject.outgoing() < OUTGOING_MARK);
            match subject.read(&mut part) {
                Ok(Progress::Done(count)) => {
                    prop_assert!(count > 0, "a clean end from nowhere");
                    read.extend_from_slice(&part[..count]);
                }
                Ok(wanted) => {
                    prop_assert_eq!(wanted, Progress::WantRead);
                    prop_assert!(fed > 0 || rest.is_empty(), "no room for a whole record");
                    if rest.is_empty() {
                        subject.feed_eof();
                    }
                }
                Err(error) => break error.kind(),
            }
        };
        prop_assert!(sent.starts_with(&read), "{} bytes of {} differ", read.len(), sent.len());
        prop_assert!(matches!(kind, ErrorKind::InvalidData | ErrorKind::UnexpectedEof));
        // And so for ever.
        prop_assert_eq!(error_of(subject.read(&mut part)).kind(), kind);
    }
}
