//! Bodies both ways, trailers, and upgrades.

use std::io::{BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use green::http::{self, Body, HeaderMap, IntoResponse, Peer, Reply, Request, Response, Server};
use green::os::unix::net::{UnixListener, UnixStream};
use green::thread;

use crate::{Served, bounded, until, usual};

#[test]
fn a_body_is_echoed_while_it_comes() {
    bounded("an echo", || {
        let served = Served::new(usual);
        let mut stream = served.connect();
        stream
            .write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
            .unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let piece = [b'x'; 32 * 1024];
        for round in 0..3 {
            write!(stream, "{:x}\r\n", piece.len()).unwrap();
            stream.write_all(&piece).unwrap();
            stream.write_all(b"\r\n").unwrap();
            let mut line = String::new();
            while round == 0 && line != "\r\n" {
                line.clear();
                reader.read_line(&mut line).unwrap();
            }
            // It comes back before the request is over.
            let mut back = 0;
            while back < piece.len() {
                line.clear();
                reader.read_line(&mut line).unwrap();
                let length = usize::from_str_radix(line.trim(), 16).unwrap();
                let mut chunk = vec![0; length + 2];
                reader.read_exact(&mut chunk).unwrap();
                back += length;
            }
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        drop((stream, reader));
        served.stop();
    });
}

#[test]
fn a_slow_handler_holds_the_sender_back() {
    bounded("back-pressure", || {
        let (open, gate) = green::channel::bounded::<()>(0);
        let served = Served::new(move |request: Request<Body>| {
            let _ = gate.recv();
            let mut body = request.into_body();
            std::io::copy(&mut body, &mut std::io::sink())
                .unwrap()
                .to_string()
        });
        const ALL: usize = 64 << 20;
        let mut stream = served.connect();
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {ALL}\r\n\r\n"
        )
        .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let piece = vec![0; 1 << 20];
        let mut sent = 0;
        let held = loop {
            match stream.write(&piece[..piece.len().min(ALL - sent)]) {
                Ok(n) => sent += n,
                Err(error) if green::is_timeout(&error) => break sent,
                Err(error) => panic!("{error}"),
            }
            assert!(sent < ALL, "all went into memory");
        };
        assert!(held < ALL / 2, "{held}");
        drop(open);
        stream.set_write_timeout(None).unwrap();
        while sent < ALL {
            sent += stream.write(&piece[..piece.len().min(ALL - sent)]).unwrap();
        }
        assert!(until(&mut stream, &ALL.to_string()).starts_with("HTTP/1.1 200"));
        drop(stream);
        served.stop();
    });
}

#[test]
fn the_go_ahead_comes_when_the_handler_reads() {
    bounded("expect", || {
        let served = Served::new(usual);
        let mut stream = served.connect();
        stream
            .write_all(b"POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n")
            .unwrap();
        assert!(until(&mut stream, "\r\n\r\n").starts_with("HTTP/1.1 100"));
        stream.write_all(b"hello").unwrap();
        assert!(until(&mut stream, "\r\n\r\n5").starts_with("HTTP/1.1 200"));
        drop(stream);
        served.stop();
    });
}

#[test]
fn trailers_go_both_ways() {
    bounded("trailers", || {
        let served = Served::new(|request: Request<Body>| {
            let mut body = request.into_body();
            body.read_to_end(&mut Vec::new())?;
            let sum = body.trailers().and_then(|t| t.get("x-sum")).cloned();
            let mut response = Response::new(Reply::written(move |out| {
                out.write_all(b"body")?;
                let mut trailers = HeaderMap::new();
                trailers.extend(sum.map(|sum| (http::HeaderName::from_static("x-sum"), sum)));
                out.trailers(trailers)
            }));
            let named = http::HeaderValue::from_static("x-sum");
            response.headers_mut().insert(http::header::TRAILER, named);
            std::io::Result::Ok(response)
        });
        let answer = served.ask(
            "POST / HTTP/1.1\r\nhost: x\r\nte: trailers\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\nab\r\n0\r\nx-sum: 42\r\n\r\n",
        );
        assert!(
            answer.ends_with("4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n"),
            "{answer}"
        );
        served.stop();
    });
}

#[test]
fn a_handler_that_waits_holds_up_its_own_connection_alone() {
    bounded("slow ones beside quick ones", || {
        let served = Served::new(usual);
        let begun = Instant::now();
        // One after the other they would take 30 s.
        let slow: Vec<_> = (0..100)
            .map(|_| {
                let mut stream = served.connect();
                stream
                    .write_all(b"GET /sleep HTTP/1.1\r\nhost: x\r\n\r\n")
                    .unwrap();
                stream
            })
            .collect();
        for _ in 0..50 {
            let answer = served.ask("GET /quick HTTP/1.0\r\n\r\n");
            assert!(answer.ends_with("GET /quick"), "{answer}");
        }
        for mut stream in slow {
            until(&mut stream, "slept");
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{:?}",
            begun.elapsed()
        );
        served.stop();
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    bounded("pipelining", || {
        let served = Served::new(usual);
        let requests: String = (0..50)
            .map(|n| format!("GET /{n} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .collect();
        let mut stream = served.connect();
        stream.write_all(requests.as_bytes()).unwrap();
        for n in 0..50 {
            until(&mut stream, &format!("\r\n\r\nGET /{n}"));
        }
        drop(stream);
        served.stop();
    });
}

#[test]
fn who_asks_is_an_extension() {
    bounded("the peer", || {
        let served = Served::new(|request: Request<Body>| {
            let Peer(peer) = request.extensions().get::<Peer>().unwrap();
            peer.to_string()
        });
        let mut stream = served.connect();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let me = stream.local_addr().unwrap().to_string();
        assert!(crate::to_end(&mut stream).ends_with(&me));
        served.stop();
    });
}

#[test]
fn a_unix_socket_is_served() {
    bounded("a Unix socket", || {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("http");
        let server = Server::new(UnixListener::bind(&path).unwrap());
        let stop = server.stop_handle();
        let running = thread::spawn(|| server.run(usual));
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"GET /x HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("GET /x"), "{answer}");
        stop.stop();
        running.join().unwrap().unwrap();
    });
}

#[test]
fn a_websocket_talks_and_counts_as_a_connection_until_it_ends() {
    use tungstenite::Message;
    bounded("a websocket", || {
        let served = Served::with(
            |request: Request<Body>| {
                http::websocket(request, |mut socket| {
                    while let Ok(message @ (Message::Text(_) | Message::Binary(_))) = socket.read()
                    {
                        socket.send(message).unwrap();
                    }
                })
            },
            |server| server.grace(Duration::from_secs(2)),
        );
        let url = format!("ws://{}/", served.address);
        let (mut socket, _) = tungstenite::client(url, served.connect()).unwrap();
        let big = Message::binary(vec![7; 300_000]);
        for _ in 0..10 {
            socket.send(big.clone()).unwrap();
            assert!(socket.read().unwrap() == big);
        }
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
        drop(socket);
        let plain = served.ask("GET / HTTP/1.0\r\n\r\n");
        assert!(plain.starts_with("HTTP/1.0 400"), "{plain}");
        // One that talks on is ended with the server.
        let url = format!("ws://{}/", served.address);
        let (_socket, _) = tungstenite::client(url, served.connect()).unwrap();
        assert_eq!(served.stop().cut, 1);
    });
}

#[test]
fn an_error_of_a_handler_is_500() {
    bounded("an error", || {
        let served = Served::new(|_: Request<Body>| Err::<&str, _>("no database"));
        let answer = served.ask("GET / HTTP/1.0\r\n\r\n");
        assert!(
            answer.starts_with("HTTP/1.0 500") && !answer.contains("database"),
            "{answer}"
        );
        assert!("x".into_response().status().is_success());
        served.stop();
    });
}
