//! Plain TCP: every way in which a connection ends, seen by a protocol, with std's sockets as the peer.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use green::asyncio::{
    ConnectionOptions, Future, ProtocolRef, Server, ServerOptions, Transport, create_connection,
    create_server,
};
use green::thread;
use socket2::SockRef;

use crate::transports::recorder::{Call, PATIENCE, Record, Recorder, recorder, recorder_that};
use test_support::bounded;
use test_support::late_error::error_that_waits_in_drop;

/// More than the kernel takes for a peer that does not read.
pub const MUCH: usize = 16 * 1024 * 1024;

/// A connection of a protocol's with a peer that is a plain OS socket.
pub struct Pair {
    pub transport: Transport,
    pub protocol: ProtocolRef<Recorder>,
    pub record: Record,
    pub peer: TcpStream,
}

pub fn pair() -> Pair {
    pair_of(recorder())
}

pub fn pair_of((protocol, record): (Recorder, Record)) -> Pair {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (transport, protocol) =
        create_connection(|| protocol, address, ConnectionOptions::new()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.set_write_timeout(Some(PATIENCE)).unwrap();
    Pair {
        transport,
        protocol,
        record,
        peer,
    }
}

/// A server whose only connection's protocol is given.
fn server_of((protocol, record): (Recorder, Record)) -> (Server, TcpStream, Record) {
    let protocol = parking_lot::Mutex::new(Some(protocol));
    let server = create_server(
        move || protocol.lock().take().expect("one connection"),
        "127.0.0.1:0",
        ServerOptions::new(),
    )
    .unwrap();
    let peer = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (server, peer, record)
}

fn reset(peer: TcpStream) {
    SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

#[test]
fn the_peer_s_end_is_told_and_the_transport_closes_itself() {
    bounded("peer's FIN", PATIENCE, || {
        let mut pair = pair();
        pair.peer.write_all(b"last words").unwrap();
        pair.peer.shutdown(Shutdown::Write).unwrap();
        let data = Call::Data(b"last words".to_vec());
        assert_eq!(
            pair.record.all(),
            [Call::Made, data, Call::Eof, Call::Lost(None)]
        );
        assert_eq!(pair.peer.read(&mut [0; 1]).unwrap(), 0);
        assert!(pair.transport.is_closing());
    });
}

#[test]
fn a_protocol_may_keep_its_direction_open_after_the_peer_s_end() {
    bounded("keep open", PATIENCE, || {
        let mut pair = pair_of(recorder_that(|call, _| Ok(*call == Call::Eof)));
        pair.peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(
            (pair.record.next(), pair.record.next()),
            (Call::Made, Call::Eof)
        );
        assert!(!pair.transport.is_closing());
        pair.transport.write(b"still here").unwrap();
        let mut heard = [0; 10];
        pair.peer.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"still here");
        pair.transport.close();
        assert_eq!(pair.record.all(), [Call::Made, Call::Eof, Call::Lost(None)]);
    });
}

#[test]
fn a_reset_is_told_with_its_error() {
    bounded("peer's RST", PATIENCE, || {
        let pair = pair();
        reset(pair.peer);
        let calls = pair.record.all();
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert_eq!(pair.record.verdict(), Some(io::ErrorKind::ConnectionReset));
    });
}

#[test]
fn close_sends_what_was_written_first_and_delivers_nothing_more() {
    bounded("close", PATIENCE, || {
        let mut pair = pair();
        let much = vec![7; MUCH];
        pair.transport.write(&much).unwrap();
        assert!(pair.transport.get_write_buffer_size() > 0);
        pair.transport.close();
        assert!(pair.transport.is_closing() && !pair.transport.is_reading());
        let refused = pair.transport.write(b"too late").unwrap_err();
        assert!(green::ClosedLocally::caused(&refused), "{refused}");
        let _ = pair.peer.write_all(b"nobody listens");
        let mut heard = Vec::new();
        pair.peer.read_to_end(&mut heard).unwrap();
        assert!(heard == much);
        let calls = pair.record.all();
        assert!(
            !calls
                .iter()
                .any(|call| matches!(call, Call::Data(_) | Call::Eof)),
            "{calls:?}"
        );
        assert_eq!(pair.record.verdict(), None);
        assert_eq!(pair.transport.get_write_buffer_size(), 0);
    });
}

#[test]
fn abort_drops_what_was_written() {
    bounded("abort", PATIENCE, || {
        let mut pair = pair();
        let much = vec![7; MUCH];
        pair.transport.write(&much).unwrap();
        pair.transport.abort();
        assert_eq!(pair.record.verdict(), None);
        assert_eq!(pair.transport.get_write_buffer_size(), 0);
        let mut heard = Vec::new();
        // An end or a reset, as the kernel has it.
        let _ = pair.peer.read_to_end(&mut heard);
        assert!(heard.len() < much.len());
    });
}

#[test]
fn abort_ends_a_close_that_the_peer_holds_up() {
    bounded("abort after close", PATIENCE, || {
        let pair = pair();
        pair.transport.write(&vec![7; MUCH]).unwrap();
        pair.transport.close();
        pair.transport.abort();
        assert_eq!(pair.record.verdict(), None);
    });
}

#[test]
fn an_error_of_the_protocol_ends_the_connection() {
    bounded("protocol's error", PATIENCE, || {
        for end in [0, 1, 2] {
            let act = move |call: &Call, _: &Transport| match (end, call) {
                (0, Call::Made) | (1, Call::Data(_)) | (2, Call::Eof) => {
                    Err(io::Error::new(io::ErrorKind::InvalidData, "nonsense"))
                }
                _ => Ok(false),
            };
            let mut pair = pair_of(recorder_that(act));
            let _ = pair.peer.write_all(b"x");
            let _ = pair.peer.shutdown(Shutdown::Write);
            let lost = Call::Lost(Some((io::ErrorKind::InvalidData, "nonsense".to_owned())));
            assert_eq!(pair.record.all().pop(), Some(lost));
        }
    });
}

#[test]
fn an_error_of_a_protocol_that_has_ended_its_connection_is_dropped_where_it_may_wait() {
    bounded("protocol's late error", PATIENCE, || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let theirs = dropped.clone();
        let mut pair = pair_of(recorder_that(move |call, transport| match call {
            Call::Data(_) => {
                transport.abort();
                Err(error_that_waits_in_drop(&theirs))
            }
            _ => Ok(false),
        }));
        let _ = pair.peer.write_all(b"x");
        assert_eq!(pair.record.verdict(), None);
        while dropped.load(SeqCst) == 0 {
            thread::yield_now();
        }
    });
}

#[test]
fn a_panic_of_the_protocol_ends_the_connection_and_nothing_else() {
    bounded("protocol's panic", PATIENCE, || {
        for end in [0, 1, 2] {
            let act = move |call: &Call, _: &Transport| match (end, call) {
                (0, Call::Made) | (1, Call::Data(_)) | (2, Call::Eof) => panic!("on purpose"),
                _ => Ok(false),
            };
            let mut pair = pair_of(recorder_that(act));
            let _ = pair.peer.write_all(b"x");
            let _ = pair.peer.shutdown(Shutdown::Write);
            let Some(Call::Lost(Some((kind, text)))) = pair.record.all().pop() else {
                panic!("no error");
            };
            assert_eq!(kind, io::ErrorKind::Other);
            assert_eq!(text, "the protocol panicked: on purpose");
            pair.protocol
                .with(|protocol| assert!(protocol.transport.is_some()));
        }
    });
}

#[test]
fn a_panic_in_connection_lost_harms_nobody() {
    bounded("panic at the end", PATIENCE, || {
        let (server, peer, record) = server_of(recorder_that(|call, _| match call {
            Call::Lost(_) => panic!("on purpose"),
            _ => Ok(false),
        }));
        assert_eq!(record.next(), Call::Made);
        drop(peer);
        assert_eq!(record.next(), Call::Eof);
        assert_eq!(record.next(), Call::Lost(None));
        server.close();
        server.wait_closed();
    });
}

#[test]
fn a_failure_to_send_is_told_with_its_error() {
    bounded("send fails", PATIENCE, || {
        let pair = pair();
        pair.transport.pause_reading();
        pair.transport.write(&vec![7; MUCH]).unwrap();
        reset(pair.peer);
        let kind = pair.record.verdict().expect("an error");
        assert!(
            matches!(
                kind,
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            ),
            "{kind:?}"
        );
    });
}

#[test]
fn a_killed_reader_tells_its_protocol() {
    bounded("kill", PATIENCE, || {
        let reader = Future::new();
        let theirs = reader.clone();
        let mut pair = pair_of(recorder_that(move |call, _| {
            if *call == Call::Made {
                theirs.set_result(thread::current().id()).unwrap();
            }
            Ok(false)
        }));
        let id = reader.wait(None).unwrap().as_u64().get();
        assert!(green::debug::kill(id).unwrap());
        let lost = (
            io::ErrorKind::Other,
            "the green thread was killed".to_owned(),
        );
        assert_eq!(pair.record.all(), [Call::Made, Call::Lost(Some(lost))]);
        assert_eq!(pair.peer.read(&mut [0; 1]).unwrap(), 0);
    });
}

#[test]
fn a_reader_killed_inside_a_call_tells_its_protocol() {
    bounded("kill in a call", PATIENCE, || {
        let reader = Future::new();
        let theirs = reader.clone();
        let mut pair = pair_of(recorder_that(move |call, _| {
            if matches!(call, Call::Data(_)) {
                theirs.set_result(thread::current().id()).unwrap();
                thread::sleep(Duration::MAX);
            }
            Ok(false)
        }));
        pair.peer.write_all(b"x").unwrap();
        let id = reader.wait(None).unwrap().as_u64().get();
        assert!(green::debug::kill(id).unwrap());
        assert_eq!(pair.record.verdict(), Some(io::ErrorKind::Other));
    });
}

#[test]
fn the_end_of_all_handles_closes_nothing() {
    bounded("handles", PATIENCE, || {
        let Pair {
            transport,
            protocol,
            record,
            mut peer,
        } = pair_of(recorder_that(|call, transport| match call {
            Call::Data(data) => transport.write(data).map(|()| false),
            _ => Ok(false),
        }));
        drop((transport, protocol));
        peer.write_all(b"echo").unwrap();
        peer.read_exact(&mut [0; 4]).unwrap();
        drop(peer);
        assert_eq!(record.verdict(), None);
    });
}
