//! Every way in which a connection ends, over every kind of connection and for both kinds of protocol: the calls come in
//! one order.

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::time::Duration;

use green::asyncio::{BufferedProtocol, Future, Protocol, Transport};
use green::channel::{Receiver, Sender, unbounded};
use green::{Site, State, thread};

use crate::transports::kinds::{data, each_kind, meet, pair, serve, told, wires};
use crate::transports::recorder::{Call, PATIENCE, recorder, recorder_that};

/// More than the kernel takes of us for a peer that does not read.
const MUCH: usize = 3_000_000;

#[test]
fn a_close_with_nothing_to_send() {
    each_kind("close", |kind| {
        let mut pair = pair(kind, recorder());
        pair.transport.close();
        assert_eq!(pair.peer.rest(), b"");
        pair.peer.end();
        assert_eq!(told(&pair.record), (vec![Call::Made], None));
    });
}

#[test]
fn a_close_with_much_to_send() {
    each_kind("close late", |kind| {
        let mut pair = pair(kind, recorder());
        let much: Vec<u8> = (0..MUCH).map(|n| (n % 251) as u8).collect();
        pair.transport.write(&much).unwrap();
        assert!(pair.transport.get_write_buffer_size() > 0);
        assert_eq!(pair.record.next(), Call::Made);
        assert_eq!(pair.record.next(), Call::Paused);
        pair.transport.close();
        assert!(pair.peer.rest() == much);
        pair.peer.end();
        let calls = vec![Call::Made, Call::Paused, Call::Resumed];
        assert_eq!(told(&pair.record), (calls, None));
    });
}

#[test]
fn a_close_while_nothing_is_read_is_in_order_too() {
    each_kind("close, paused", |kind| {
        // From the start, so that what comes is never taken.
        let act = |call: &Call, transport: &Transport| {
            if *call == Call::Made {
                transport.pause_reading();
            }
            Ok(false)
        };
        let mut pair = pair(kind, recorder_that(act));
        pair.peer.say(b"not delivered");
        // It has come, so that no reset is due when we close.
        let socket = pair.transport.get_extra_info().socket();
        socket.peek(&mut [0; 1]).unwrap();
        pair.transport.write(b"farewell").unwrap();
        pair.transport.close();
        assert_eq!(pair.peer.rest(), b"farewell");
        pair.peer.end();
        assert_eq!(told(&pair.record), (vec![Call::Made], None));
    });
}

#[test]
fn an_abort_with_nothing_and_with_much_to_send() {
    each_kind("abort", |kind| {
        for much in [0, MUCH] {
            let pair = pair(kind, recorder());
            pair.transport.write(&vec![7; much]).unwrap();
            pair.transport.abort();
            let (calls, verdict) = told(&pair.record);
            assert_eq!((&calls[0], verdict), (&Call::Made, None));
            assert_eq!(pair.transport.get_write_buffer_size(), 0);
        }
    });
}

/// What a protocol does inside one of its calls.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Close,
    Abort,
    Fail,
    Panic,
}

#[test]
fn what_is_done_inside_a_call_is_the_end_of_the_calls() {
    each_kind("inside", |kind| {
        for deed in [Deed::Close, Deed::Abort, Deed::Fail, Deed::Panic] {
            for place in 0..3 {
                let all = [Call::Made, data(b"x"), Call::Eof];
                let here = all[place].clone();
                let act = move |call: &Call, transport: &Transport| {
                    if *call == here {
                        match deed {
                            Deed::Close => transport.close(),
                            Deed::Abort => transport.abort(),
                            Deed::Fail => return Err(io::ErrorKind::InvalidData.into()),
                            Deed::Panic => panic!("on purpose"),
                        }
                    }
                    Ok(false)
                };
                let mut pair = pair(kind, recorder_that(act));
                pair.peer.say(b"x");
                pair.peer.end();
                let verdict = match deed {
                    Deed::Close | Deed::Abort => None,
                    Deed::Fail => Some(io::ErrorKind::InvalidData),
                    Deed::Panic => Some(io::ErrorKind::Other),
                };
                let expected = (all[..=place].to_vec(), verdict);
                assert_eq!(told(&pair.record), expected, "{deed:?}");
            }
        }
    });
}

#[test]
fn the_peer_ends_in_order_and_the_protocol_says_whether_that_is_all() {
    each_kind("peer's end", |kind| {
        for keep in [false, true] {
            let act = move |call: &Call, _: &Transport| Ok(keep && *call == Call::Eof);
            let mut pair = pair(kind, recorder_that(act));
            let calls = vec![Call::Made, data(b"last words"), Call::Eof];
            pair.peer.say(b"last words");
            pair.peer.end();
            // Both directions of TLS end together, whatever the answer.
            if keep && kind.tls.is_none() {
                let so_far: Vec<Call> = calls.iter().map(|_| pair.record.next()).collect();
                assert_eq!(so_far, calls);
                assert!(!pair.transport.is_closing());
                pair.transport.write(b"still here").unwrap();
                pair.transport.close();
                assert_eq!(pair.peer.rest(), b"still here");
            }
            assert_eq!(told(&pair.record), (calls, None));
        }
    });
}

#[test]
fn we_end_our_direction_and_the_peer_its_own() {
    each_kind("write_eof", |kind| {
        let mut pair = pair(kind, recorder());
        pair.transport.write(b"a question").unwrap();
        if kind.tls.is_some() {
            let refused = pair.transport.write_eof().unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
            assert!(!pair.transport.is_closing());
        } else {
            pair.transport.write_eof().unwrap();
            assert_eq!(pair.peer.rest(), b"a question");
        }
        pair.peer.say(b"an answer");
        pair.peer.end();
        let calls = vec![Call::Made, data(b"an answer"), Call::Eof];
        assert_eq!(told(&pair.record), (calls, None));
    });
}

#[test]
fn a_peer_that_leaves_without_reading_resets() {
    each_kind("reset", |kind| {
        let pair = pair(kind, recorder());
        pair.transport.write(b"unread").unwrap();
        let mut first = [MaybeUninit::uninit()];
        pair.peer.socket().peek(&mut first).unwrap();
        drop(pair.peer);
        let reset = Some(io::ErrorKind::ConnectionReset);
        assert_eq!(told(&pair.record), (vec![Call::Made], reset));
    });
}

#[test]
fn tls_that_is_cut_is_no_end_in_order() {
    each_kind("cut", |kind| {
        if kind.tls.is_none() {
            return;
        }
        let mut pair = pair(kind, recorder());
        pair.peer.say(b"some words");
        pair.peer.socket().shutdown(Shutdown::Write).unwrap();
        let calls = vec![Call::Made, data(b"some words")];
        let cut = Some(io::ErrorKind::UnexpectedEof);
        assert_eq!(told(&pair.record), (calls, cut));
    });
}

#[test]
fn what_is_not_tls_and_an_alert_are_errors() {
    const NONSENSE: &[u8] = b"This is no record of TLS.";
    each_kind("nonsense", |kind| {
        if kind.tls.is_none() {
            return;
        }
        let invalid = Some(io::ErrorKind::InvalidData);
        let heard = pair(kind, recorder());
        heard.peer.socket().send(NONSENSE).unwrap();
        assert_eq!(told(&heard.record), (vec![Call::Made], invalid));

        let mut said = pair(kind, recorder());
        let extra = said.transport.get_extra_info();
        extra.socket().send(NONSENSE).unwrap();
        // It says what it thinks of that.
        assert_eq!(said.peer.rest(), b"");
        assert_eq!(told(&said.record), (vec![Call::Made], invalid));
    });
}

#[test]
fn a_handshake_that_comes_to_nothing_calls_nobody() {
    each_kind("no handshake", |kind| {
        if kind.tls.is_none() || kind.buffered {
            return;
        }
        for (says, verdict) in [
            (&b""[..], io::ErrorKind::TimedOut),
            (b"This is no record of TLS.", io::ErrorKind::InvalidData),
        ] {
            let (ours, mut theirs) = wires(kind);
            let (protocol, record) = recorder();
            theirs.write_all(says).unwrap();
            let limit = match says {
                b"" => Duration::from_millis(20),
                _ => PATIENCE,
            };
            let error = serve(kind, ours, protocol, limit).unwrap_err();
            assert_eq!((error.kind(), record.so_far()), (verdict, Vec::new()));
        }
        let (ours, theirs) = wires(kind);
        let (protocol, record) = recorder();
        theirs.shutdown(Shutdown::Write).unwrap();
        let error = serve(kind, ours, protocol, PATIENCE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(record.so_far(), []);
    });
}

#[test]
fn a_killed_reader_tells_its_protocol_over_any_connection() {
    each_kind("kill", |kind| {
        let reader = Future::new();
        let theirs = reader.clone();
        let mut pair = pair(
            kind,
            recorder_that(move |call, _| {
                if *call == Call::Made {
                    theirs.set_result(thread::current().id()).unwrap();
                }
                Ok(false)
            }),
        );
        let id = reader.wait(None).unwrap().as_u64().get();
        assert!(green::debug::kill(id).unwrap());
        let killed = Some(io::ErrorKind::Other);
        assert_eq!(told(&pair.record), (vec![Call::Made], killed));
        assert_eq!(pair.peer.rest(), b"");
    });
}

/// Who takes a connection over.
struct Heir(Sender<Call>);

impl Heir {
    fn new() -> (Heir, Receiver<Call>) {
        let (said, heard) = unbounded();
        (Heir(said), heard)
    }

    fn note(&self, call: Call) {
        self.0.send(call).unwrap();
    }
}

impl Protocol for Heir {
    fn connection_made(&mut self, _: Transport) -> io::Result<()> {
        self.note(Call::Made);
        Ok(())
    }

    fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
        self.note(Call::Data(data.to_vec()));
        Ok(())
    }

    fn eof_received(&mut self) -> io::Result<bool> {
        self.note(Call::Eof);
        Ok(false)
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        self.note(Call::Lost(
            error.map(|error| (error.kind(), error.to_string())),
        ));
    }
}

struct HeirWithABuffer(Heir, [u8; 100]);

impl BufferedProtocol for HeirWithABuffer {
    fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
        self.0.connection_made(transport)
    }

    fn get_buffer(&mut self, _: usize) -> &mut [u8] {
        &mut self.1
    }

    fn buffer_updated(&mut self, count: usize) -> io::Result<()> {
        self.0.data_received(&self.1[..count])
    }

    fn eof_received(&mut self) -> io::Result<bool> {
        self.0.eof_received()
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        self.0.connection_lost(error);
    }
}

#[test]
fn another_protocol_that_takes_over_hears_the_rest_and_the_end() {
    each_kind("set_protocol", |kind| {
        for abort in [false, true] {
            for place in 0..3 {
                let all = [Call::Made, data(b"x"), Call::Eof];
                let (heir, heard) = Heir::new();
                let (mut heir, here) = (Some(heir), all[place].clone());
                let act = move |call: &Call, transport: &Transport| {
                    if *call == here {
                        let heir = heir.take().unwrap();
                        // Of the other kind than its predecessor.
                        if kind.buffered {
                            transport.set_protocol(heir)?;
                        } else {
                            transport.set_protocol(HeirWithABuffer(heir, [0; 100]))?;
                        }
                        if abort {
                            transport.abort();
                        }
                    }
                    Ok(false)
                };
                let mut pair = pair(kind, recorder_that(act));
                pair.peer.say(b"x");
                pair.peer.end();
                let mut after = match abort {
                    true => Vec::new(),
                    false => all[place + 1..].to_vec(),
                };
                after.push(Call::Lost(None));
                let said: Vec<Call> = heard.iter().collect();
                assert_eq!(said, after);
                assert_eq!(pair.record.so_far(), all[..=place]);
                assert!(pair.record.is_open(), "the first is told no end");
            }
        }
    });
}

/// For a reader whose peer says nothing: it then waits until that does.
fn until_it_waits_for_its_peer(reader: thread::ThreadId) {
    loop {
        let threads = green::report().threads;
        let found = threads.iter().find(|thread| thread.id == reader).unwrap();
        if matches!(found.state, State::Waiting(Site::Readable(_))) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_protocol_given_from_outside_hears_what_comes_next() {
    each_kind("set_protocol outside", |kind| {
        let reader = Future::new();
        let theirs = reader.clone();
        let act = move |call: &Call, _: &Transport| {
            if matches!(call, Call::Data(_)) {
                theirs.set_result(thread::current().id()).unwrap();
            }
            Ok(false)
        };
        let mut pair = pair(kind, recorder_that(act));
        pair.peer.say(b"1");
        assert_eq!(pair.record.next(), Call::Made);
        assert_eq!(pair.record.next(), data(b"1"));
        until_it_waits_for_its_peer(reader.wait(Some(PATIENCE)).unwrap());
        let (heir, heard) = Heir::new();
        if kind.buffered {
            pair.transport.set_protocol(heir).unwrap();
        } else {
            let heir = HeirWithABuffer(heir, [0; 100]);
            pair.transport.set_protocol(heir).unwrap();
        }
        pair.peer.say(b"2");
        pair.peer.end();
        let said: Vec<Call> = heard.iter().collect();
        assert_eq!(said, [data(b"2"), Call::Eof, Call::Lost(None)]);
        assert_eq!(pair.record.so_far(), [Call::Made, data(b"1")]);
    });
}

#[test]
fn a_panic_at_a_mark_ends_the_connection() {
    each_kind("panic at a mark", |kind| {
        for mark in [Call::Paused, Call::Resumed] {
            let here = mark.clone();
            let mut pair = pair(
                kind,
                recorder_that(move |call, _| {
                    assert_ne!(*call, here, "on purpose");
                    Ok(false)
                }),
            );
            pair.transport.write(&vec![7; MUCH]).unwrap();
            assert_eq!(pair.record.next(), Call::Made);
            assert_eq!(pair.record.next(), Call::Paused);
            if mark == Call::Resumed {
                pair.peer.rest();
            }
            let (calls, verdict) = told(&pair.record);
            assert_eq!(verdict, Some(io::ErrorKind::Other));
            assert_eq!(calls.last(), Some(&mark));
        }
    });
}

/// Panics where it is asked for room, or told what is in it.
struct Clumsy {
    room: Option<[u8; 10]>,
    lost: Future<Option<io::ErrorKind>>,
}

impl BufferedProtocol for Clumsy {
    fn get_buffer(&mut self, _: usize) -> &mut [u8] {
        self.room.as_mut().expect("on purpose")
    }

    fn buffer_updated(&mut self, _: usize) -> io::Result<()> {
        panic!("on purpose");
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        self.lost
            .set_result(error.map(|error| error.kind()))
            .unwrap();
    }
}

#[test]
fn a_panic_of_a_buffered_protocol_ends_the_connection() {
    each_kind("clumsy", |kind| {
        for room in [None, Some([0; 10])] {
            let lost = Future::new();
            let theirs = lost.clone();
            let (ours, peer) = wires(kind);
            let (_, mut peer) = meet(kind, ours, peer, Clumsy { room, lost: theirs });
            peer.say(b"x");
            let verdict = lost.wait(Some(PATIENCE)).unwrap();
            assert_eq!(verdict, Some(io::ErrorKind::Other));
        }
    });
}
