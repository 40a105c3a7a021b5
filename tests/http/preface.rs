//! Peers in the clear whose first bytes could be those of HTTP/2 or of HTTP/1, and come one after the other.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use green::convenience::Accept;
use green::http::{Server, Transport};
use green::net::TcpStream;
use green::os::unix::net::{UnixListener, UnixStream};
use green::thread;
use test_support::child::alone;

use crate::frames::{PREFACE, SETTINGS, STATUS_200, answered, frame, get};
use crate::{Served, bounded, to_end, until, usual};

/// The server has come to what was sent before: it has answered another client since.
fn is_seen(served: &Served) {
    assert!(served.ask("GET / HTTP/1.0\r\n\r\n").ends_with("GET /"));
}

/// Peers send a part of the preface and end: nothing but that ends their connections.
fn end_within<L>(
    listener: L,
    connect: impl Fn() -> L::Stream,
    end: impl Fn(&L::Stream, Shutdown) -> io::Result<()>,
) where
    L: Accept,
    L::Stream: Transport,
{
    let server = Server::new(listener).head_timeout(None);
    let stop = server.stop_handle();
    let running = thread::spawn(move || server.run(usual));
    for part in ["P", "PRI * HTT"] {
        let mut stream = connect();
        stream.write_all(part.as_bytes()).unwrap();
        end(&stream, Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer, b"", "{part}");
    }
    stop.stop();
    assert_eq!(running.join().unwrap().unwrap().cut, 0);
}

#[test]
fn a_peer_that_ends_within_the_preface_is_gone_at_once() {
    bounded("an end within the preface", || {
        let listener = green::listen("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect(address).unwrap();
        end_within(listener, connect, TcpStream::shutdown);

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let connect = || UnixStream::connect(&path).unwrap();
        end_within(listener, connect, UnixStream::shutdown);
    });
}

#[test]
fn the_preface_may_come_byte_by_byte() {
    bounded("a preface in bytes", || {
        let served = Served::new(usual);
        let mut stream = served.connect();
        stream.set_nodelay(true).unwrap();
        for byte in PREFACE {
            stream.write_all(&[*byte]).unwrap();
            is_seen(&served);
        }
        let asks = [frame(SETTINGS, 0, 0, &[]), get(1, "/page")].concat();
        stream.write_all(&asks).unwrap();
        assert_eq!(answered(&mut stream), STATUS_200);
    });
}

#[test]
fn what_only_begins_like_the_preface_is_http1() {
    bounded("a method in pieces", || {
        let served = Served::new(usual);
        for pieces in [
            &[
                "P",
                "OST /length HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi",
            ][..],
            &[
                "P",
                "R",
                "INT /length HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n",
                "hi",
            ],
        ] {
            let mut stream = served.connect();
            stream.set_nodelay(true).unwrap();
            for piece in pieces {
                stream.write_all(piece.as_bytes()).unwrap();
                is_seen(&served);
            }
            let answer = to_end(&mut stream);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert!(answer.ends_with("\r\n\r\n2"), "{answer}");
        }
        // All that could be the preface but for its last bytes: a head of its own, of a version that is refused.
        let mut stream = served.connect();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&PREFACE[..20]).unwrap();
        is_seen(&served);
        stream.write_all(b"x").unwrap();
        assert!(until(&mut stream, "\r\n").starts_with("HTTP/1.1 505 "));
    });
}

#[test]
fn a_peer_that_is_silent_within_the_preface_wakes_nobody() {
    const NAME: &str = "preface::a_peer_that_is_silent_within_the_preface_wakes_nobody";
    alone(NAME, &[("GREEN_HUBS", "1")], || {
        let served = Served::with(usual, |server| server.head_timeout(None));
        let silent: Vec<_> = (0..8)
            .map(|_| {
                let mut stream = served.connect();
                stream.write_all(b"P").unwrap();
                stream
            })
            .collect();
        is_seen(&served);
        let turns = || green::report().hubs[0].turns;
        // Whoever was just asked may still be going.
        let is_still = || {
            let before = turns();
            std::thread::sleep(Duration::from_millis(100));
            turns() == before
        };
        while !is_still() {}
        drop(silent);
    })
    .well();
}

#[test]
fn who_waits_for_the_rest_of_the_preface_can_be_killed_and_is_cut_by_a_stop() {
    const NAME: &str =
        "preface::who_waits_for_the_rest_of_the_preface_can_be_killed_and_is_cut_by_a_stop";
    alone(NAME, &[("GREEN_HUBS", "1")], || {
        let grace = Duration::from_millis(50);
        let served = Served::with(usual, |server| server.head_timeout(None).grace(grace));
        let silent = || {
            let mut stream = served.connect();
            stream.write_all(b"PRI * HTT").unwrap();
            is_seen(&served);
            stream
        };
        let mut killed = silent();
        for thread in green::report().threads {
            if thread.name.as_deref() == Some("connection") {
                green::debug::kill(thread.id.as_u64().get()).unwrap();
            }
        }
        assert_eq!(to_end(&mut killed), "");
        let mut cut = silent();
        assert_eq!(served.stop().cut, 1);
        assert_eq!(to_end(&mut cut), "");
    })
    .well();
}
