//! How a connection ends: cleanly, ragged, by reset, by our own hand; and what the second call answers.

use super::*;

/// Runs `check(subject, peer)` in both roles for every pairing of engines.
fn in_every_role(check: impl Fn(SslPipe, SslPipe, &str)) {
    for setup in SETUPS {
        let pair = Pair::wrapped(setup);
        check(pair.client, pair.server, &format!("client of {setup:?}"));
        let pair = Pair::wrapped(setup);
        check(pair.server, pair.client, &format!("server of {setup:?}"));
    }
}

/// A transport that fails with an error of the operating system's.
struct Failing(i32);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(self.0))
    }
}

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(self.0))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn close_notify_ends_reading_and_not_writing() {
    in_every_role(|mut subject, mut peer, role| {
        write(&mut peer, b"last words");
        peer.shutdown().unwrap();
        carry(&mut peer, &mut subject);
        subject.feed_eof();
        assert_eq!(read_all(&mut subject), b"last words", "{role}");
        for _ in 0..3 {
            assert_eq!(
                subject.read(&mut [0; 8]).unwrap(),
                Progress::Done(0),
                "{role}"
            );
        }
        assert!(subject.peer_closed_cleanly());
        write(&mut subject, b"eight by");
        subject.shutdown().unwrap();
        carry(&mut subject, &mut peer);
        assert_eq!(read_all(&mut peer), b"eight by", "{role}");
        assert!(peer.peer_closed_cleanly(), "{role}");
    });
}

#[test]
fn a_broken_pipe_after_close_notify_is_a_broken_pipe() {
    in_every_role(|mut subject, mut peer, role| {
        peer.shutdown().unwrap();
        carry(&mut peer, &mut subject);
        assert_eq!(subject.read(&mut [0; 8]).unwrap(), Progress::Done(0));
        write(&mut subject, b"unavoidable");
        let error = subject.drain_to(&mut Failing(libc::EPIPE)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPIPE), "{role}");
        for _ in 0..3 {
            assert_eq!(
                error_of(subject.write(b"x")).raw_os_error(),
                Some(libc::EPIPE),
                "{role}"
            );
            assert_eq!(
                subject.read(&mut [0; 8]).unwrap(),
                Progress::Done(0),
                "{role}"
            );
        }
    });
}

#[test]
fn fin_without_close_notify_is_unexpected_eof_and_writes_still_work() {
    in_every_role(|mut subject, mut peer, role| {
        write(&mut peer, b"data");
        carry(&mut peer, &mut subject);
        subject.feed_eof();
        assert_eq!(
            subject.read(&mut [0; 8]).unwrap(),
            Progress::Done(4),
            "{role}"
        );
        for _ in 0..3 {
            assert_eq!(
                error_of(subject.read(&mut [0; 8])).kind(),
                ErrorKind::UnexpectedEof,
                "{role}"
            );
        }
        assert!(!subject.peer_closed_cleanly());
        write(&mut subject, b"still here");
        subject.shutdown().unwrap();
        carry(&mut subject, &mut peer);
        assert_eq!(read_all(&mut peer), b"still here", "{role}");
        assert!(peer.peer_closed_cleanly(), "{role}");
        // Nothing is taken after the end.
        assert_eq!(subject.feed(b"more"), 0);
        assert_eq!(subject.room(), 0);
    });
}

#[test]
fn fin_within_a_record_gives_no_part_of_it() {
    // Behind its first byte, within and behind its header, before its last byte.
    for cut in [1, 3, 5, 6, 26] {
        in_every_role(|mut subject, mut peer, role| {
            write(&mut peer, b"whole");
            let whole = peer.outgoing();
            write(&mut peer, b"broken");
            let bytes = drain(&mut peer);
            assert!(whole + cut < bytes.len());
            subject.feed(&bytes[..whole + cut]);
            subject.feed_eof();
            assert_eq!(
                subject.read(&mut [0; 8]).unwrap(),
                Progress::Done(5),
                "{role}"
            );
            for _ in 0..2 {
                assert_eq!(
                    error_of(subject.read(&mut [0; 8])).kind(),
                    ErrorKind::UnexpectedEof,
                    "{role}"
                );
            }
        });
    }
}

#[test]
fn a_reset_comes_after_the_data_before_it_and_stays() {
    in_every_role(|mut subject, mut peer, role| {
        write(&mut peer, b"hello");
        carry(&mut peer, &mut subject);
        let error = subject
            .feed_from(&mut Failing(libc::ECONNRESET))
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET), "{role}");
        // A later, false end does not replace it.
        subject.feed_eof();
        assert_eq!(
            subject.read(&mut [0; 8]).unwrap(),
            Progress::Done(5),
            "{role}"
        );
        for _ in 0..3 {
            let error = error_of(subject.read(&mut [0; 8]));
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{role}");
            assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET), "{role}");
            assert_eq!(
                error_of(subject.write(b"x")).kind(),
                ErrorKind::ConnectionReset,
                "{role}"
            );
        }
        subject.shutdown().unwrap();
        assert_eq!(subject.outgoing(), 0);
    });
}

#[test]
fn every_kind_of_transport_error_keeps_its_kind() {
    let kinds = [
        ErrorKind::TimedOut,
        ErrorKind::NotConnected,
        ErrorKind::ConnectionAborted,
        ErrorKind::Other,
    ];
    for kind in kinds {
        in_every_role(|mut subject, _, role| {
            subject.feed_error(io::Error::new(kind, "as it was put"));
            for _ in 0..2 {
                let error = error_of(subject.read(&mut [0; 8]));
                assert_eq!(
                    (error.kind(), error.to_string()),
                    (kind, "as it was put".to_owned()),
                    "{role}"
                );
            }
        });
        for setup in SETUPS {
            let mut pair = Pair::of(setup);
            assert_eq!(pair.client.handshake().unwrap(), Progress::WantRead);
            pair.client.feed_error(kind.into());
            assert_eq!(error_of(pair.client.handshake()).kind(), kind, "{setup:?}");
            assert_eq!(
                error_of(pair.client.read(&mut [0; 8])).kind(),
                kind,
                "{setup:?}"
            );
            assert_eq!(error_of(pair.client.write(b"x")).kind(), kind, "{setup:?}");
        }
    }
}

#[test]
fn not_now_is_no_end() {
    in_every_role(|mut subject, mut peer, role| {
        for code in [libc::EAGAIN, libc::EINTR] {
            assert_eq!(
                subject
                    .feed_from(&mut Failing(code))
                    .unwrap_err()
                    .raw_os_error(),
                Some(code)
            );
            subject.feed_error(io::Error::from_raw_os_error(code));
            write(&mut subject, b"x");
            assert_eq!(
                subject
                    .drain_to(&mut Failing(code))
                    .unwrap_err()
                    .raw_os_error(),
                Some(code)
            );
            carry(&mut subject, &mut peer);
            assert_eq!(read_all(&mut peer), b"x", "{role}");
            assert_eq!(
                subject.read(&mut [0; 8]).unwrap(),
                Progress::WantRead,
                "{role}"
            );
        }
    });
}

#[test]
fn close_notify_without_fin_is_the_end_and_later_writes_arrive() {
    in_every_role(|mut subject, mut peer, role| {
        peer.shutdown().unwrap();
        carry(&mut peer, &mut subject);
        assert_eq!(
            subject.read(&mut [0; 8]).unwrap(),
            Progress::Done(0),
            "{role}"
        );
        assert_eq!(
            subject.read(&mut [0; 8]).unwrap(),
            Progress::Done(0),
            "{role}"
        );
        write(&mut subject, b"after");
        carry(&mut subject, &mut peer);
        assert_eq!(read_all(&mut peer), b"after", "{role}");
    });
}

#[test]
fn reading_goes_on_after_writing_has_failed() {
    in_every_role(|mut subject, mut peer, role| {
        write(&mut subject, &[1; 40_000]);
        subject
            .drain_to(&mut Failing(libc::ECONNRESET))
            .unwrap_err();
        assert_eq!(
            (subject.outgoing(), subject.produced()),
            (0, subject.drained()),
            "{role}"
        );
        write(&mut peer, b"still coming");
        carry(&mut peer, &mut subject);
        assert_eq!(read_all(&mut subject), b"still coming", "{role}");
        assert_eq!(
            error_of(subject.write(b"x")).kind(),
            ErrorKind::ConnectionReset,
            "{role}"
        );
        subject.shutdown().unwrap();
    });
}

#[test]
fn an_end_within_the_handshake_is_never_done() {
    for setup in SETUPS {
        for begun in [true, false] {
            let mut pair = Pair::of(setup);
            for pipe in [&mut pair.client, &mut pair.server] {
                if begun {
                    assert_eq!(pipe.handshake().unwrap(), Progress::WantRead);
                }
                pipe.feed_eof();
                for _ in 0..3 {
                    assert_eq!(
                        error_of(pipe.handshake()).kind(),
                        ErrorKind::UnexpectedEof,
                        "{setup:?}"
                    );
                    assert_eq!(
                        error_of(pipe.read(&mut [0; 8])).kind(),
                        ErrorKind::UnexpectedEof,
                        "{setup:?}"
                    );
                    assert_eq!(
                        error_of(pipe.write(b"x")).kind(),
                        ErrorKind::UnexpectedEof,
                        "{setup:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_follows_close_notify_is_given_back() {
    in_every_role(|mut subject, mut peer, role| {
        write(&mut peer, b"secret");
        peer.shutdown().unwrap();
        let mut bytes = drain(&mut peer);
        bytes.extend_from_slice(b"250 plain again\r\n");
        assert_eq!(subject.feed(&bytes), bytes.len());
        assert_eq!(
            subject.take_unread().unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{role}"
        );
        assert_eq!(read_all(&mut subject), b"secret", "{role}");
        subject.shutdown().unwrap();
        assert_eq!(
            subject.read(&mut [0; 8]).unwrap(),
            Progress::Done(0),
            "{role}"
        );
        assert_eq!(
            subject.take_unread().unwrap(),
            b"250 plain again\r\n",
            "{role}"
        );
        assert_eq!(subject.take_unread().unwrap(), b"", "{role}");
        // And our own close_notify is the last of our ciphertext.
        carry(&mut subject, &mut peer);
        assert_eq!(peer.feed(b"MAIL"), 4);
        assert_eq!(read_all(&mut peer), b"", "{role}");
        assert_eq!(peer.take_unread().unwrap(), b"MAIL", "{role}");
    });
}

#[test]
fn shutdown_sends_one_record_once_and_reads_on() {
    in_every_role(|mut subject, mut peer, role| {
        // Data of the peer lies unread: a second call of OpenSSL's would destroy it.
        write(&mut peer, b"late data");
        carry(&mut peer, &mut subject);
        subject.shutdown().unwrap();
        let alert = drain(&mut subject);
        let length = usize::from(u16::from_be_bytes([alert[3], alert[4]]));
        assert_eq!(alert.len(), 5 + length, "{role}: not exactly one record");
        for _ in 0..3 {
            subject.shutdown().unwrap();
            assert_eq!(subject.outgoing(), 0, "{role}");
        }
        assert_eq!(
            error_of(subject.write(b"x")).kind(),
            ErrorKind::BrokenPipe,
            "{role}"
        );
        assert_eq!(read_all(&mut subject), b"late data", "{role}");
        write(&mut peer, b"later still");
        peer.shutdown().unwrap();
        carry(&mut peer, &mut subject);
        assert_eq!(read_all(&mut subject), b"later still", "{role}");
        assert!(subject.peer_closed_cleanly(), "{role}");
    });
}

#[test]
fn a_spoilt_record_is_fatal_and_stays_so() {
    in_every_role(|mut subject, mut peer, role| {
        write(&mut peer, b"good");
        let good = peer.outgoing();
        write(&mut peer, b"spoilt");
        let mut bytes = drain(&mut peer);
        bytes[good + 12] ^= 1;
        subject.feed(&bytes);
        assert_eq!(
            subject.read(&mut [0; 8]).unwrap(),
            Progress::Done(4),
            "{role}"
        );
        for _ in 0..3 {
            assert_eq!(
                reason(&error_of(subject.read(&mut [0; 8]))),
                Reason::Protocol,
                "{role}"
            );
            assert_eq!(
                reason(&error_of(subject.write(b"x"))),
                Reason::Protocol,
                "{role}"
            );
        }
        assert!(!subject.peer_closed_cleanly());
        subject.shutdown().unwrap();
        // The peer hears why: bad_record_mac.
        carry(&mut subject, &mut peer);
        for _ in 0..3 {
            assert_eq!(
                reason(&error_of(peer.read(&mut [0; 8]))),
                Reason::Alert(20),
                "{role}"
            );
            assert_eq!(
                reason(&error_of(peer.write(b"x"))),
                Reason::Alert(20),
                "{role}"
            );
        }
    });
}

#[test]
fn plaintext_within_a_session_is_fatal() {
    in_every_role(|mut subject, _, role| {
        subject.feed(b"HTTP/1.1 500 Oh\r\n\r\n");
        for _ in 0..2 {
            assert_eq!(
                reason(&error_of(subject.read(&mut [0; 8]))),
                Reason::Protocol,
                "{role}"
            );
        }
    });
}

#[test]
fn an_alert_is_preferred_to_a_reset_behind_it() {
    in_every_role(|mut subject, mut peer, role| {
        // The subject spoils a record for the peer, whose alert then comes together with a reset.
        write(&mut subject, b"x");
        let mut bytes = drain(&mut subject);
        *bytes.last_mut().unwrap() ^= 1;
        peer.feed(&bytes);
        error_of(peer.read(&mut [0; 8]));
        carry(&mut peer, &mut subject);
        subject.feed_error(io::Error::from_raw_os_error(libc::ECONNRESET));
        for _ in 0..2 {
            assert_eq!(
                reason(&error_of(subject.read(&mut [0; 8]))),
                Reason::Alert(20),
                "{role}"
            );
        }
    });
}
