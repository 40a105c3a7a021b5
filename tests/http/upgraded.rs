//! Connections that have left HTTP.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use green::channel;
use green::convenience::Accept;
use green::http::{
    self, Body, HeaderValue, IntoResponse, Request, Server, StatusCode, Transport, header,
};
use green::ssl::{EngineKind, TlsVersion};
use green::thread;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use crate::{Served, bounded, until};
use test_support::certs::{client_context, server_context};

#[test]
fn a_ping_is_answered_between_what_another_handle_writes() {
    bounded("two handles of a websocket", || {
        // More than the buffers between two sockets hold, so that each waits in the middle.
        let message = || Message::binary(vec![7; 15 << 20]);
        let served = Served::new(move |request: Request<Body>| {
            http::websocket(request, move |mut reader| {
                let stream = reader.get_ref().try_clone().unwrap();
                let mut writer = WebSocket::from_raw_socket(stream, Role::Server, None);
                let writes = thread::spawn(move || while writer.send(message()).is_ok() {});
                // It answers pings.
                while reader.read().is_ok() {}
                writes.join().unwrap();
            })
        });
        let stream = served.connect();
        let mut pings = stream.try_clone().unwrap();
        let url = format!("ws://{}/", served.address);
        let (mut socket, _) = tungstenite::client(url, stream).unwrap();
        // Masked by zeros, and empty. As many are on their way as at the start, so that those who wait do not grow in number
        // where a machine is slow.
        let mut ping = move || pings.write_all(&[0x89, 0x80, 0, 0, 0, 0]).unwrap();
        (0..4).for_each(|_| ping());
        let (mut messages, mut pongs) = (0, 0);
        while messages < 4 || pongs < 10 {
            thread::sleep(Duration::from_millis(20));
            match socket.read().unwrap() {
                Message::Pong(_) => {
                    pongs += 1;
                    ping();
                }
                other => {
                    assert!(other == message(), "{} bytes", other.len());
                    messages += 1;
                }
            }
        }
        socket.get_ref().shutdown(std::net::Shutdown::Both).unwrap();
        served.stop();
    });
}

#[test]
fn a_peer_that_takes_nothing_is_cut_after_an_upgrade_too() {
    bounded("a write limit after an upgrade", || {
        let (told, hears) = channel::bounded(1);
        let served = Served::with(
            move |mut request: Request<Body>| {
                let told = told.clone();
                http::upgrade(&mut request, move |mut stream| {
                    let mut other = stream.try_clone().unwrap();
                    let reads = thread::spawn(move || other.read(&mut [0]));
                    let error = loop {
                        if let Err(error) = stream.write(&[0; 100_000]) {
                            break error.kind();
                        }
                    };
                    // Who reads hears of it.
                    let read = reads.join().unwrap();
                    told.send((error, read.unwrap_or(0))).unwrap();
                });
                let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
                for (name, value) in [(header::CONNECTION, "upgrade"), (header::UPGRADE, "zeros")] {
                    let value = HeaderValue::from_static(value);
                    response.headers_mut().insert(name, value);
                }
                response
            },
            |server| server.write_timeout(Some(Duration::from_millis(200))),
        );
        let mut deaf = served.connect();
        deaf.write_all(
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: zeros\r\n\r\n",
        )
        .unwrap();
        until(&mut deaf, "\r\n\r\n");
        assert_eq!(hears.recv(), Ok((ErrorKind::TimedOut, 0)));
        served.stop();
    });
}

/// How long a peer that takes nothing was borne.
fn is_cut_late<L>(
    listener: L,
    limit: Duration,
    connect: impl FnOnce(SocketAddr) -> Box<dyn Duplex>,
) -> Duration
where
    L: Accept + Send + 'static,
    L::Stream: Transport,
{
    let server = Server::new(listener).write_timeout(Some(limit));
    let address = server.listener().as_ref().local_addr().unwrap();
    let stop = server.stop_handle();
    let (told, hears) = channel::bounded(1);
    let running = thread::spawn(move || {
        server.run(move |request: Request<Body>| {
            let told = told.clone();
            http::websocket(request, move |mut socket| {
                let mut taken = Instant::now();
                loop {
                    let begun = Instant::now();
                    if socket.send(Message::binary(vec![7; 40_000])).is_err() {
                        break;
                    }
                    // One that had to wait for the whole limit has sent nothing.
                    if begun.elapsed() < limit / 2 {
                        taken = Instant::now();
                    }
                }
                told.send(taken.elapsed()).unwrap();
            })
        })
    });
    let stream = connect(address.as_socket().unwrap());
    let (_deaf, _) = tungstenite::client("ws://localhost/", stream).unwrap();
    let late = hears.recv().unwrap();
    stop.stop();
    running.join().unwrap().unwrap();
    late
}

trait Duplex: Read + Write {}

impl<S: Read + Write> Duplex for S {}

#[test]
fn a_peer_that_takes_nothing_is_cut_after_the_limit_and_not_after_two() {
    bounded("how late a peer is cut", || {
        let limit = Duration::from_secs(2);
        let listen = || green::listen("127.0.0.1:0").unwrap();
        let over_tcp = || {
            is_cut_late(listen(), limit, |address| {
                Box::new(green::connect(address).unwrap())
            })
        };
        let server = server_context(EngineKind::OpenSsl, TlsVersion::Tls13);
        let client = client_context(EngineKind::OpenSsl, TlsVersion::Tls13);
        let over_tls = || {
            is_cut_late(green::wrap_ssl(listen(), &server), limit, |address| {
                let stream = green::connect(address).unwrap();
                Box::new(client.connect(stream, "localhost").unwrap())
            })
        };
        for how_late in [&over_tcp as &dyn Fn() -> Duration, &over_tls] {
            // A busy machine may be late by itself, but not each time.
            let in_time = (0..4).map(|_| how_late()).any(|late| {
                assert!(late >= limit, "{late:?}");
                late < limit * 7 / 4
            });
            assert!(in_time);
        }
    });
}

#[test]
fn a_websocket_of_another_version_is_426_which_names_ours() {
    bounded("another version", || {
        let served = Served::new(|request: Request<Body>| http::websocket(request, drop));
        let ask = |version: &str| {
            served.ask(&format!(
                "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{version}\r\n\
                 GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            ))
        };
        for version in ["8", "14", "13, 8", "x"] {
            let answer = ask(&format!("sec-websocket-version: {version}\r\n"));
            assert!(answer.starts_with("HTTP/1.1 426 "), "{version}: {answer}");
            let answer = answer.to_ascii_lowercase();
            for line in ["sec-websocket-version: 13", "upgrade: websocket"] {
                assert!(answer.contains(line), "{version}: {answer}");
            }
            // It goes on with HTTP.
            assert!(answer.contains("http/1.1 400 "), "{version}: {answer}");
        }
        assert!(ask("").starts_with("HTTP/1.1 400 "));
        assert!(ask("sec-websocket-version: 13\r\n").starts_with("HTTP/1.1 101 "));
        served.stop();
    });
}
