//! Connections that have left HTTP.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use green::channel;
use green::http::{self, Body, HeaderValue, IntoResponse, Request, StatusCode, header};
use green::thread;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use crate::{Served, bounded, until};

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
