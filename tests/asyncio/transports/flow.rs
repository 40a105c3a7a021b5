//! Flow: pausing, resuming, marks, in both directions; and who is called when.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use green::asyncio::{
    BufferedProtocol, ConnectionOptions, Future, Protocol, Transport, create_connection,
};
use green::thread;
use parking_lot::Mutex;
use std::sync::Arc;

use crate::transports::plain::{MUCH, pair, pair_of};
use crate::transports::recorder::{Call, PATIENCE, recorder_that};
use test_support::bounded;

#[test]
fn a_writer_is_paused_above_the_high_mark_and_resumed_at_the_low_one() {
    bounded("marks", PATIENCE, || {
        let mut pair = pair();
        assert_eq!(pair.record.next(), Call::Made);
        pair.transport.write(&vec![7; MUCH]).unwrap();
        assert_eq!(pair.record.next(), Call::Paused);
        let mut heard = vec![0; MUCH];
        pair.peer.read_exact(&mut heard).unwrap();
        assert_eq!(pair.record.next(), Call::Resumed);
        pair.transport.drain().unwrap();
        assert_eq!(pair.transport.get_write_buffer_size(), 0);
        pair.transport.close();
        let calls = pair.record.all();
        assert_eq!(
            calls,
            [Call::Made, Call::Paused, Call::Resumed, Call::Lost(None)]
        );
    });
}

#[test]
fn a_write_inside_a_call_pauses_after_the_call() {
    bounded("re-entrant", PATIENCE, || {
        let inside = Arc::new(Mutex::new(false));
        let seen = inside.clone();
        let mut pair = pair_of(recorder_that(move |call, transport| {
            match call {
                Call::Data(_) => {
                    *seen.lock() = true;
                    transport.write(&vec![7; MUCH])?;
                    transport.write(&vec![7; MUCH])?;
                    *seen.lock() = false;
                }
                Call::Paused => assert!(!*seen.lock(), "pause_writing inside data_received"),
                _ => {}
            }
            Ok(false)
        }));
        pair.peer.write_all(b"go").unwrap();
        assert_eq!(pair.record.next(), Call::Made);
        assert_eq!(pair.record.next(), Call::Data(b"go".to_vec()));
        assert_eq!(pair.record.next(), Call::Paused);
        let mut heard = vec![0; 2 * MUCH];
        pair.peer.read_exact(&mut heard).unwrap();
        assert_eq!(pair.record.next(), Call::Resumed);
        pair.transport.abort();
        assert_eq!(pair.record.verdict(), None);
    });
}

#[test]
fn drain_inside_a_call_waits_for_the_peer_and_not_for_itself() {
    bounded("drain inside", PATIENCE, || {
        let mut pair = pair_of(recorder_that(|call, transport| {
            if matches!(call, Call::Data(_)) {
                transport.write(&vec![7; MUCH])?;
                transport.drain()?;
                assert!(transport.get_write_buffer_size() <= transport.get_write_buffer_limits().0);
                transport.close();
            }
            Ok(false)
        }));
        pair.peer.write_all(b"go").unwrap();
        let mut heard = Vec::new();
        pair.peer.read_to_end(&mut heard).unwrap();
        assert_eq!(heard.len(), MUCH);
        assert_eq!(pair.record.verdict(), None);
    });
}

#[test]
fn drain_ends_with_the_connection() {
    bounded("drain and abort", PATIENCE, || {
        let pair = pair();
        pair.transport.write(&vec![7; MUCH]).unwrap();
        let transport = pair.transport.clone();
        let drainer = thread::spawn(move || transport.drain());
        pair.transport.abort();
        let error = drainer.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn pieces_of_many_writers_arrive_whole_and_in_their_order() {
    bounded("many writers", PATIENCE, || {
        const WRITERS: u8 = 8;
        const LINES: u32 = 500;
        let mut pair = pair();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let transport = pair.transport.clone();
                thread::spawn(move || {
                    for number in 0..LINES {
                        let line = format!("{writer} {number} {}\n", "x".repeat(900));
                        transport.write(line.as_bytes()).unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        pair.transport.close();
        let mut heard = String::new();
        pair.peer.read_to_string(&mut heard).unwrap();
        let mut next = [0; WRITERS as usize];
        for line in heard.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(words[2].len(), 900);
            let writer: usize = words[0].parse().unwrap();
            assert_eq!(words[1].parse(), Ok(next[writer]));
            next[writer] += 1;
        }
        assert_eq!(next, [LINES; WRITERS as usize]);
    });
}

#[test]
fn an_early_answer_is_heard_although_the_rest_cannot_be_sent() {
    bounded("early answer", PATIENCE, || {
        for _ in 0..20 {
            // Sends much, and hears nothing meanwhile: then the answer and the failure are there at once.
            let failed = Future::new();
            let theirs = failed.clone();
            let mut pair = pair_of(recorder_that(move |call, transport| {
                if *call == Call::Data(b"go".to_vec()) {
                    transport.write(&vec![7; MUCH])?;
                    theirs.wait(None).unwrap();
                }
                Ok(false)
            }));
            pair.peer.write_all(b"go").unwrap();
            pair.peer.read_exact(&mut [0; 1000]).unwrap();
            pair.peer.write_all(b"413 too much").unwrap();
            // Leaves with much unread: a reset.
            drop(pair.peer);
            while !pair.transport.is_closing() {
                thread::sleep(Duration::from_millis(1));
            }
            failed.set_result(()).unwrap();
            let kind = pair.record.verdict().expect("an error");
            assert!(
                matches!(
                    kind,
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
                ),
                "{kind:?}"
            );
            let calls = pair.record.so_far();
            assert!(
                calls.contains(&Call::Data(b"413 too much".to_vec())),
                "{calls:?}"
            );
        }
    });
}

#[test]
fn a_paused_transport_delivers_nothing_and_loses_nothing() {
    bounded("paused reading", PATIENCE, || {
        let mut pair = pair_of(recorder_that(|call, transport| {
            if *call == Call::Data(b"1".to_vec()) {
                transport.pause_reading();
            }
            Ok(false)
        }));
        pair.peer.write_all(b"1").unwrap();
        assert_eq!(pair.record.next(), Call::Made);
        assert_eq!(pair.record.next(), Call::Data(b"1".to_vec()));
        pair.peer.write_all(b"2").unwrap();
        pair.peer.shutdown(Shutdown::Write).unwrap();
        // The call is told of before what it does is done.
        while pair.transport.is_reading() {
            thread::yield_now();
        }
        // Long enough for what must not come.
        thread::sleep(Duration::from_millis(30));
        assert_eq!(pair.record.so_far().len(), 2);
        pair.transport.resume_reading();
        assert_eq!(pair.record.next(), Call::Data(b"2".to_vec()));
        assert_eq!(pair.record.next(), Call::Eof);
        assert_eq!(pair.record.verdict(), None);
    });
}

#[test]
fn a_paused_transport_closes_all_the_same() {
    bounded("paused and closed", PATIENCE, || {
        for abort in [false, true] {
            let pair = pair();
            pair.transport.pause_reading();
            match abort {
                true => pair.transport.abort(),
                false => pair.transport.close(),
            }
            assert_eq!(pair.record.all(), [Call::Made, Call::Lost(None)]);
        }
    });
}

#[test]
fn write_eof_comes_after_what_was_written() {
    bounded("write_eof", PATIENCE, || {
        for size in [10, MUCH] {
            let mut pair = pair();
            assert!(pair.transport.can_write_eof());
            pair.transport.write(&vec![7; size]).unwrap();
            pair.transport.write_eof().unwrap();
            pair.transport.write_eof().unwrap();
            let refused = pair.transport.write(b"x").unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
            let mut heard = Vec::new();
            pair.peer.read_to_end(&mut heard).unwrap();
            assert_eq!(heard.len(), size);
            assert!(!pair.transport.is_closing());
            pair.peer.write_all(b"answer").unwrap();
            pair.peer.shutdown(Shutdown::Write).unwrap();
            assert_eq!(pair.record.verdict(), None);
            let calls = pair.record.all();
            assert!(calls.contains(&Call::Data(b"answer".to_vec())), "{calls:?}");
        }
    });
}

#[test]
fn writelines_sends_the_pieces_as_one() {
    bounded("writelines", PATIENCE, || {
        let mut pair = pair();
        pair.transport
            .writelines(&["one ", "two ", "three"])
            .unwrap();
        pair.transport.writelines(&[] as &[&[u8]]).unwrap();
        pair.transport.close();
        let mut heard = String::new();
        pair.peer.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "one two three");
    });
}

#[test]
fn another_protocol_takes_over_in_the_midst_of_a_connection() {
    struct Second(Future<Vec<u8>>, Vec<u8>);
    impl Protocol for Second {
        fn connection_made(&mut self, _: Transport) -> io::Result<()> {
            panic!("made twice");
        }
        fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
            self.1.extend(data);
            Ok(())
        }
        fn connection_lost(&mut self, _: Option<io::Error>) {
            self.0.set_result(self.1.clone()).unwrap();
        }
    }
    bounded("set_protocol", PATIENCE, || {
        let heard = Future::new();
        let theirs = heard.clone();
        let mut pair = pair_of(recorder_that(move |call, transport| {
            if matches!(call, Call::Data(_)) {
                transport.set_protocol(Second(theirs.clone(), Vec::new()))?;
                transport.write(b"ready")?;
            }
            Ok(false)
        }));
        pair.peer.write_all(b"switch").unwrap();
        pair.peer.read_exact(&mut [0; 5]).unwrap();
        assert!(pair.transport.get_protocol::<Second>().is_some());
        assert!(
            pair.transport
                .get_protocol::<crate::transports::recorder::Recorder>()
                .is_none()
        );
        pair.peer.write_all(b"to the second").unwrap();
        drop(pair.peer);
        assert_eq!(heard.wait(Some(PATIENCE)).unwrap(), b"to the second");
        assert_eq!(
            pair.record.so_far(),
            [Call::Made, Call::Data(b"switch".to_vec())]
        );
        let gone = pair
            .transport
            .set_protocol(Second(Future::new(), Vec::new()));
        assert_eq!(gone.unwrap_err().kind(), io::ErrorKind::NotConnected);
        assert!(pair.transport.get_protocol::<Second>().is_none());
    });
}

/// Receives into a buffer of seven bytes.
struct Buffered {
    room: [u8; 7],
    heard: Vec<u8>,
    ended: bool,
    lost: Future<Option<io::ErrorKind>>,
    empty: bool,
}

impl BufferedProtocol for Buffered {
    fn get_buffer(&mut self, _: usize) -> &mut [u8] {
        match self.empty {
            true => &mut [],
            false => &mut self.room,
        }
    }

    fn buffer_updated(&mut self, count: usize) -> io::Result<()> {
        self.heard.extend(&self.room[..count]);
        Ok(())
    }

    fn eof_received(&mut self) -> io::Result<bool> {
        self.ended = true;
        Ok(false)
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        let kind = error.map(|error| error.kind());
        self.lost
            .set_result(kind)
            .expect("connection_lost came twice");
    }
}

fn buffered(empty: bool) -> (Buffered, Future<Option<io::ErrorKind>>) {
    let lost = Future::new();
    let protocol = Buffered {
        room: [0; 7],
        heard: Vec::new(),
        ended: false,
        lost: lost.clone(),
        empty,
    };
    (protocol, lost)
}

#[test]
fn a_buffered_protocol_receives_into_its_own_buffer() {
    bounded("buffered", PATIENCE, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (protocol, lost) = buffered(false);
        let (_transport, protocol) =
            create_connection(|| protocol, address, ConnectionOptions::new()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let sent: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        peer.write_all(&sent).unwrap();
        drop(peer);
        assert_eq!(lost.wait(Some(PATIENCE)).unwrap(), None);
        protocol.with(|protocol| {
            assert!(protocol.heard == sent);
            assert!(protocol.ended);
        });
    });
}

#[test]
fn a_buffered_protocol_without_room_ends_the_connection() {
    bounded("no room", PATIENCE, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (protocol, lost) = buffered(true);
        let address = listener.local_addr().unwrap();
        create_connection(|| protocol, address, ConnectionOptions::new()).unwrap();
        let (mut peer, _): (TcpStream, _) = listener.accept().unwrap();
        let _ = peer.write_all(b"x");
        assert_eq!(
            lost.wait(Some(PATIENCE)).unwrap(),
            Some(io::ErrorKind::InvalidInput)
        );
    });
}

#[test]
fn a_look_at_the_protocol_from_its_own_call_is_refused_and_from_elsewhere_waits() {
    bounded("look", PATIENCE, || {
        let mut pair = pair_of(recorder_that(|call, transport| {
            if matches!(call, Call::Data(_)) {
                let own = transport
                    .get_protocol::<crate::transports::recorder::Recorder>()
                    .unwrap();
                own.with(|_| ());
            }
            Ok(false)
        }));
        pair.protocol
            .with(|protocol| assert!(protocol.transport.is_some()));
        pair.peer.write_all(b"x").unwrap();
        let Some(Call::Lost(Some((_, text)))) = pair.record.all().pop() else {
            panic!("no error");
        };
        assert!(text.contains("use `self`"), "{text}");
    });
}
