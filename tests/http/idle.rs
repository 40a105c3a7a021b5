//! What a connection costs while nobody says anything on it.

use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::time::Duration;

use green::http::{Body, Request, Response, Server};
use green::ssl::{EngineKind, TlsVersion};
use green::thread;
use test_support::certs::{Peers, peer_context, server_context};
use test_support::child::alone;
use test_support::ends::peer::Peer;
use test_support::heap;
use test_support::threads::until;

use super::{Served, usual};

/// Asks once, and leaves the connection open.
fn asked(served: &Served) -> StdStream {
    let mut stream = StdStream::connect(served.address).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    read_until(&mut stream, "GET /");
    stream
}

fn read_until(stream: &mut StdStream, end: &str) {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
}

#[test]
fn hundreds_of_idle_connections_cost_little_memory_and_no_stack_each() {
    let name = "idle::hundreds_of_idle_connections_cost_little_memory_and_no_stack_each";
    alone(name, &[("GREEN_HUBS", "1")], || {
        const MANY: usize = 400;
        let served = Served::new(usual);
        // What is made once.
        let first: Vec<_> = (0..8).map(|_| asked(&served)).collect();
        let before = heap::in_use();
        let idle: Vec<_> = (0..MANY).map(|_| asked(&served)).collect();
        let each = || heap::in_use().saturating_sub(before) / MANY;
        // Two buffers of 8 KiB are hyper's; with those, on tokio, a connection has 19 KB. At rest none is kept.
        until(|| each() < 4_000);
        let listed = green::report().threads;
        let connections = listed
            .iter()
            .filter(|one| one.name.as_deref() == Some("connection"));
        assert_eq!(connections.count(), MANY + first.len());
        drop((idle, first));
        let left = || green::report().threads.len();
        // The server's own two, and who keeps its timers.
        until(|| left() <= 3);
    })
    .well();
}

#[test]
fn a_connection_that_has_been_at_rest_serves_on_and_has_no_more_time_for_it() {
    super::bounded("a connection at rest", || {
        let limit = Duration::from_secs(4);
        let served = Served::with(usual, |server| server.head_timeout(Some(limit)));
        let mut stream = asked(&served);
        for _ in 0..2 {
            // Longer than it takes to be at rest; there is nothing that a client could wait for.
            thread::sleep(limit / 10);
            stream.write_all(b"GET /on HT").unwrap();
            thread::sleep(limit / 10);
            stream.write_all(b"TP/1.1\r\nhost: x\r\n\r\n").unwrap();
            read_until(&mut stream, "GET /on");
        }
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        // What was awaited ends with a part of a head, too.
        let mut stream = asked(&served);
        thread::sleep(limit / 10);
        stream.write_all(b"GET /on HT").unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        assert_eq!(served.stop().cut, 0);
    });
}

/// Some clients send them behind a body; RFC 9112, 2.2 has a server ignore them.
#[test]
fn a_connection_at_rest_behind_an_empty_line_or_a_part_of_one_serves_on() {
    super::bounded("behind an empty line", || {
        let served = Served::new(usual);
        for [before, behind] in [["\r\n", ""], ["\n", ""], ["\r", "\n"], ["", "\r\n"]] {
            let mut stream = asked(&served);
            stream.write_all(before.as_bytes()).unwrap();
            // Longer than it takes to be at rest; there is nothing that a client could wait for.
            thread::sleep(Duration::from_millis(400));
            write!(stream, "{behind}GET /on HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            read_until(&mut stream, "GET /on");
        }
        assert_eq!(served.stop().cut, 0);
    });
}

/// hyper looks at a head that comes in parts only when it has seen its end, which this is not.
#[test]
fn a_carriage_return_alone_does_not_end_a_head() {
    super::bounded("a carriage return alone", || {
        let served = Served::new(usual);
        for name in ["x", "upgrade"] {
            let mut stream = asked(&served);
            stream.set_read_timeout(Some(super::LIMIT / 8)).unwrap();
            write!(stream, "GET /on HTTP/1.1\r\nhost: x\r\n{name}: y\r\n").unwrap();
            for part in ["\r=", "\r\n\r\n"] {
                // Longer than it takes until a part has come, and a connection is at rest.
                thread::sleep(Duration::from_millis(400));
                stream.write_all(part.as_bytes()).unwrap();
            }
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
        }
        assert_eq!(served.stop().cut, 0);
    });
}

/// The engine has taken what came of it, and the rest is an event of the socket.
#[test]
fn a_connection_that_rests_behind_half_a_record_wakes_nobody() {
    let name = "idle::a_connection_that_rests_behind_half_a_record_wakes_nobody";
    alone(name, &[("GREEN_HUBS", "1")], || {
        let kinds = [
            (EngineKind::OpenSsl, TlsVersion::Tls13),
            (EngineKind::OpenSsl, TlsVersion::Tls12),
            (EngineKind::NativeTls, TlsVersion::Tls12),
        ];
        for (engine, version) in kinds {
            let listener = green::listen("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let context = server_context(engine, version);
            let server = Server::new(green::wrap_ssl(listener, &context));
            let stop = server.stop_handle();
            let running = thread::spawn(|| server.run(usual));
            let context = peer_context(false, version, Peers::Easy);
            let tcp = StdStream::connect(address).unwrap();
            tcp.set_nodelay(true).unwrap();
            let mut peer = Peer::new(tcp, Some(&context), false, "");
            assert!(peer.handshake());
            let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
            peer.send(request);
            assert!(peer.tcp().read(&mut [0; 4096]).unwrap() > 0);
            // A part of its header, and all of that.
            for part in [3, 20] {
                let record = peer.encrypted(request);
                peer.raw(&record[..part]);
                let resumes = || green::report().hubs[0].resumes;
                // In vain, if it wakes somebody each tenth of a second, as one that may have a request does.
                until(|| {
                    let before = resumes();
                    std::thread::sleep(Duration::from_millis(500));
                    resumes() == before
                });
                peer.raw(&record[part..]);
                assert!(peer.tcp().read(&mut [0; 4096]).unwrap() > 0);
            }
            stop.stop();
            running.join().unwrap().unwrap();
        }
    })
    .well();
}

#[test]
fn handlers_that_wait_hold_up_neither_each_other_nor_the_quick() {
    let name = "idle::handlers_that_wait_hold_up_neither_each_other_nor_the_quick";
    alone(name, &[("GREEN_HUBS", "1")], || {
        let (open, gate) = green::channel::bounded::<()>(0);
        let served = Served::new(move |request: Request<Body>| {
            if request.uri().path() == "/waits" {
                let _ = gate.recv();
            }
            Response::new("done")
        });
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let mut stream = StdStream::connect(served.address).unwrap();
                stream.write_all(b"GET /waits HTTP/1.0\r\n\r\n").unwrap();
                stream
            })
            .collect();
        for _ in 0..20 {
            assert!(served.ask("GET / HTTP/1.0\r\n\r\n").ends_with("done"));
        }
        for stream in &waiting {
            stream.set_nonblocking(true).unwrap();
            let mut stream = stream;
            assert_eq!(
                stream.read(&mut [0]).unwrap_err().kind(),
                std::io::ErrorKind::WouldBlock
            );
            stream.set_nonblocking(false).unwrap();
        }
        drop(open);
        for mut stream in waiting {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.ends_with("done"), "{answer}");
        }
    })
    .well();
}

#[test]
fn an_idle_connection_that_is_cut_is_closed_at_once() {
    super::bounded("an idle connection that is cut", || {
        let is_cut = || {
            let served = Served::with(usual, |server| server.grace(Duration::ZERO));
            let mut stream = asked(&served);
            thread::sleep(Duration::from_millis(2));
            let cut = served.stop().cut;
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            cut == 1
        };
        // On a busy machine it may end by itself, half a second after the server was stopped, before anybody comes to cut it.
        assert!((0..4).any(|_| is_cut()));
    });
}
