//! Peers that are slow, wrong or gone.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use green::http::{Body, IntoResponse, Reply, Request, Response, StatusCode};
use green::sync::mpsc::channel;

use crate::frames::{Fate, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, begin, fate, frame, get};
use crate::{Bomb, Served, bounded, nobody_is_left, to_end, until, usual};

const SHORT: Duration = Duration::from_millis(150);

#[test]
fn a_panic_is_500_and_nobody_else_s() {
    bounded("a panic", || {
        let served = Served::new(usual);
        let mut stream = served.connect();
        for path in ["/panic", "/bomb"] {
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let answer = until(&mut stream, "\r\n\r\n");
            assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
            stream
                .write_all(b"GET /on HTTP/1.1\r\nhost: x\r\n\r\n")
                .unwrap();
            assert!(until(&mut stream, "GET /on").starts_with("HTTP/1.1 200"));
        }
        // One with a body runs on a thread of its own.
        for path in ["/panic", "/bomb"] {
            let request = format!("POST {path} HTTP/1.0\r\ncontent-length: 20000\r\n\r\n");
            let answer = served.ask(&request);
            assert!(answer.starts_with("HTTP/1.0 500"), "{answer}");
        }
        drop(stream);
        served.stop();
    });
}

#[test]
fn a_body_that_is_not_wanted_and_panics_when_it_is_dropped_costs_no_answer() {
    bounded("a drop that panics", || {
        let served = Served::new(|request: Request<Body>| {
            let (path, bomb) = (request.uri().path().to_owned(), Bomb);
            let reply = Reply::written(move |_| {
                let _bomb = &bomb;
                Ok(())
            });
            let mut response = Response::new(reply);
            *response.status_mut() = match &*path {
                "/none" => StatusCode::NO_CONTENT,
                "/101" => StatusCode::SWITCHING_PROTOCOLS,
                _ => StatusCode::OK,
            };
            response
        });
        let mut stream = served.connect();
        for (request, status) in [("HEAD /", "200"), ("GET /none", "204"), ("GET /101", "500")] {
            let request = format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let answer = until(&mut stream, "\r\n\r\n");
            assert_eq!(&answer[9..12], status, "{request}");
        }
        let mut stream = begin(&served);
        for (id, path) in [(1, "/none"), (3, "/101")] {
            stream.write_all(&get(id, path)).unwrap();
            assert_eq!(fate(&mut stream), Fate::Answered, "{path}");
        }
        drop(stream);
        served.stop();
    });
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    bounded("slowloris", || {
        let served = Served::with(usual, |server| server.head_timeout(Some(SHORT)));
        let begun = Instant::now();
        // Nothing, a part of a head, a part of the preface of HTTP/2, and an idle connection.
        for sent in [
            "",
            "GET / HTTP/1.1\r\nho",
            "PRI * HT",
            "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        ] {
            let mut stream = served.connect();
            stream.write_all(sent.as_bytes()).unwrap();
            to_end(&mut stream);
        }
        // A byte now and then does not stretch it.
        let mut stream = served.connect();
        while stream.write_all(b"G").is_ok() && begun.elapsed() < Duration::from_secs(60) {
            green::thread::sleep(Duration::from_millis(20));
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(served.stop().cut, 0);
    });
}

#[test]
fn a_body_that_does_not_come_is_408() {
    bounded("a slow body", || {
        let served = Served::with(usual, |server| server.read_timeout(Some(SHORT)));
        for length in [
            "content-length: 9",
            "content-length: 90000",
            "transfer-encoding: chunked",
        ] {
            let answer = served.ask(&format!(
                "POST /length HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n1\r\n"
            ));
            assert!(answer.starts_with("HTTP/1.1 408"), "{length}: {answer}");
        }
        nobody_is_left();
        served.stop();
    });
}

#[test]
fn a_peer_that_takes_nothing_is_cut() {
    bounded("a peer that takes nothing", || {
        let served = Served::with(usual, |server| server.write_timeout(Some(SHORT)));
        let mut stream = served.connect();
        stream
            .write_all(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        green::thread::sleep(SHORT);
        nobody_is_left();
        assert_eq!(served.stop().cut, 0);
        assert!(!to_end(&mut stream).ends_with("0\r\n\r\n"));
    });
}

#[test]
fn a_body_that_is_too_long_is_413() {
    bounded("a long body", || {
        let served = Served::with(usual, |server| server.max_body(10));
        let answer = served.ask(
            "POST /length HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 11\r\n\r\n",
        );
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        let chunked = "POST /length HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
        let answer = served.ask(&format!("{chunked}b\r\nhello world\r\n0\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        let answer = served.ask(&format!("{chunked}5\r\nhello\r\n0\r\n\r\n"));
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with('5'),
            "{answer}"
        );
        served.stop();
    });
}

#[test]
fn a_length_that_nobody_can_count_is_413() {
    bounded("a length", || {
        let served = Served::with(usual, |server| server.max_body(1 << 40));
        for length in [
            "18446744073709551613",
            "18446744073709551614",
            "18446744073709551615",
            "18446744073709551616",
            "99999999999999999999999999999999",
        ] {
            let answer = served.ask(&format!(
                "POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n"
            ));
            assert!(answer.starts_with("HTTP/1.1 413"), "{length}: {answer}");
        }
        served.stop();
    });
}

#[test]
fn a_body_that_is_kept_beyond_the_answer_and_not_read_on_ends_its_connection() {
    bounded("a body that is kept", || {
        let (keep, kept) = channel();
        let keeps = move |request: Request<Body>| {
            let leaks = request.uri().path() == "/leak";
            match (leaks, request.into_body()) {
                (true, body) => std::mem::forget(body),
                (false, body) => keep.send(body).unwrap(),
            }
            "answered"
        };
        let served = Served::with(keeps, |server| server.read_timeout(Some(SHORT)));
        for path in ["/leak", "/keep"] {
            for length in [
                "content-length: 20000",
                "content-length: 90000",
                "transfer-encoding: chunked",
            ] {
                let mut stream = served.connect();
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(b"4e20\r\n").unwrap();
                stream.write_all(&[b'x'; 20_000]).unwrap();
                let begun = Instant::now();
                let answer = to_end(&mut stream);
                assert!(answer.ends_with("answered"), "{path}, {length}: {answer}");
                let took = begun.elapsed();
                assert!(took < Duration::from_secs(15), "{path}, {length}: {took:?}");
            }
        }
        // Who reads on may take longer than the limit in all.
        let mut stream = served.connect();
        stream
            .write_all(b"POST /keep HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\nexpect: x\r\n\r\n")
            .unwrap();
        let mut body = kept.iter().nth(3).unwrap();
        until(&mut stream, "answered");
        for _ in 0..20 {
            stream.write_all(b"y").unwrap();
            body.read_exact(&mut [0]).unwrap();
            green::thread::sleep(SHORT / 4);
        }
        drop(stream);
        assert_eq!(served.stop().cut, 0);
    });
}

/// The answer is followed by the server's end, and the server listens on: a reset would overtake the answer.
#[test]
fn who_is_answered_early_may_send_on() {
    bounded("an early answer", || {
        let served = Served::with(usual, |server| server.max_body(1 << 40));
        for (request, status) in [
            (
                "POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 90000000\r\n\r\n",
                "200",
            ),
            (
                "POST /early HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
                "200",
            ),
            (
                "POST /panic HTTP/1.1\r\nhost: x\r\ncontent-length: 90000000\r\n\r\n",
                "500",
            ),
            (
                "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1099511627777\r\n\r\n",
                "413",
            ),
            (
                "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: nine\r\n\r\n",
                "400",
            ),
            ("GET / HTTP/1.0\r\n\r\n", "200"),
        ] {
            let is_heard_out = || {
                let mut stream = served.connect();
                stream.write_all(request.as_bytes()).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                assert!(answer.starts_with("HTTP/1."), "{request:?}: {answer:?}");
                assert_eq!(&answer[9..12], status, "{request:?}: {answer:?}");
                let is_sent = (0..64).all(|_| stream.write_all(&[b'x'; 1 << 16]).is_ok());
                is_sent && matches!(stream.read(&mut [0]), Ok(0))
            };
            // A server waits two seconds for who says nothing; on a very busy machine that may have been us.
            assert!((0..4).any(|_| is_heard_out()), "{request:?}");
        }
        // They have gone; one that stays and says no more is not waited for long.
        let mut silent = served.connect();
        silent
            .write_all(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 90000\r\n\r\n")
            .unwrap();
        assert!(to_end(&mut silent).ends_with("POST /early"));
        nobody_is_left();
        assert_eq!(served.stop().cut, 0);
    });
}

/// The shapes that make two servers disagree where a request ends.
#[test]
fn requests_that_could_be_read_in_two_ways_are_refused() {
    bounded("smuggling", || {
        let served = Served::new(usual);
        let refused = [
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3, 5\r\n\r\nabcde",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +3\r\n\r\nabc",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n",
            "GET /\tHTTP/1.1\r\nhost: x\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n",
            "GET / HTTP/1.0\r\nhost: x\r\nhost: y\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: x/y\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: u@x\r\n\r\n",
            "GET http://u@x/ HTTP/1.1\r\nhost: x\r\n\r\n",
            "GET x:80 HTTP/1.1\r\nhost: x\r\n\r\n",
            "GET * HTTP/1.1\r\nhost: x\r\n\r\n",
            "OPTIONS x:80 HTTP/1.1\r\nhost: x\r\n\r\n",
            "CONNECT / HTTP/1.1\r\nhost: x\r\n\r\n",
            "CONNECT * HTTP/1.1\r\nhost: x\r\n\r\n",
            "POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2;\nxx\r\n0\r\n\r\n",
            "POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\nxx\r\n0\r\n\r\n",
            "POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n-2\r\nxx\r\n0\r\n\r\n",
            "POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nxxx\r\n0\r\n\r\n",
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ];
        for request in refused {
            let answer = served.ask(request);
            assert!(
                answer.contains(" 400 ") && !answer.contains(" 200 "),
                "{request:?}: {answer:?}"
            );
        }
        let whole = served.ask("OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        assert!(whole.starts_with("HTTP/1.1 200"), "{whole}");
        // A length beside chunks: the chunks count, and nothing behind them does.
        for both in [
            "content-length: 4\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 4",
        ] {
            let answer = served.ask(&format!(
                "POST /length HTTP/1.1\r\nhost: x\r\n{both}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
            ));
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(!answer.contains("smuggled"), "{answer}");
        }
        served.stop();
    });
}

#[test]
fn a_client_that_goes_in_the_middle_is_an_error_and_leaves_nobody() {
    bounded("a client that goes", || {
        let (tell, told) = channel();
        let served = Served::new(move |request: Request<Body>| {
            let mut body = request.into_body();
            let error = body.read_to_end(&mut Vec::new()).unwrap_err();
            tell.send(error.kind()).unwrap();
            "unheard".into_response()
        });
        for length in ["content-length: 90000", "transfer-encoding: chunked"] {
            let mut stream = served.connect();
            let head = format!("POST / HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n5\r\nhello\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            drop(stream);
            let kind = told.recv_timeout(Duration::from_secs(20)).unwrap();
            assert_eq!(kind, std::io::ErrorKind::UnexpectedEof, "{length}");
        }
        nobody_is_left();
        served.stop();
    });
}

#[test]
fn a_client_that_has_ended_its_half_is_answered() {
    bounded("half closed", || {
        let served = Served::new(usual);
        for request in [
            "GET /sleep HTTP/1.1\r\nhost: x\r\n\r\n",
            "POST /echo HTTP/1.0\r\ncontent-length: 5\r\n\r\nhello",
        ] {
            let mut stream = served.connect();
            stream.write_all(request.as_bytes()).unwrap();
            stream.shutdown(green::net::Shutdown::Write).unwrap();
            let answer = to_end(&mut stream);
            assert!(answer.contains(" 200 "), "{answer}");
        }
        served.stop();
    });
}

#[test]
fn a_response_that_fails_half_way_does_not_look_whole() {
    bounded("half a response", || {
        let served = Served::new(usual);
        let answer = served.ask("GET /cut HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
        nobody_is_left();
        served.stop();
    });
}

#[test]
fn a_head_without_end_is_refused() {
    bounded("a head without end", || {
        let served = Served::new(usual);
        for line in [
            "x: y\r\n".to_owned(),
            format!("x: {}\r\n", "y".repeat(60_000)),
        ] {
            let mut stream = served.connect();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").unwrap();
            let mut heard = stream.try_clone().unwrap();
            let answer = green::thread::spawn(move || to_end(&mut heard));
            // What lies in the sockets' buffers says nothing, so for as long as it goes.
            while !answer.is_finished() && stream.write_all(line.as_bytes()).is_ok() {}
            drop(stream);
            let answer = answer.join().unwrap();
            assert!(answer.starts_with("HTTP/1.1 431"), "{answer:?}");
        }
        served.stop();
    });
}

/// A complete request: GET /sleep from x, and nothing behind it.
const SLEEP: &[u8] = b"\x82\x86\x04\x06/sleep\x41\x01x";

/// Floods of HTTP/2: requests that are taken back at once, pings, settings. Each ends its own connection, or is borne.
#[test]
fn floods_of_http2_end_their_own_connection_alone() {
    bounded("floods", || {
        let served = Served::new(usual);
        let taken_back = |n: u32| {
            let stream = 2 * n + 1;
            let mut both = frame(HEADERS, 5, stream, SLEEP);
            both.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
            both
        };
        let floods: [&dyn Fn(u32) -> Vec<u8>; 3] = [
            &taken_back,
            &|n| frame(PING, 0, 0, &u64::from(n).to_be_bytes()),
            &|_| frame(SETTINGS, 0, 0, &[]),
        ];
        for flood in floods {
            let mut stream = served.connect();
            stream
                .set_write_timeout(Some(Duration::from_secs(2)))
                .unwrap();
            stream.write_all(PREFACE).unwrap();
            stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
            for n in 0..20_000 {
                if stream.write_all(&flood(n)).is_err() {
                    break;
                }
            }
            let answer = served.ask("GET /on HTTP/1.0\r\n\r\n");
            assert!(answer.ends_with("GET /on"), "{answer}");
        }
        nobody_is_left();
        served.stop();
    });
}

#[test]
fn hundreds_of_idle_connections_leave_room_for_others() {
    bounded("idle connections", || {
        let served = Served::with(usual, |server| server.concurrency(500));
        let idle: Vec<_> = (0..400)
            .map(|_| {
                let mut stream = served.connect();
                stream
                    .write_all(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
                    .unwrap();
                until(&mut stream, "GET /a");
                stream
            })
            .collect();
        let begun = Instant::now();
        let answer = served.ask("GET /on HTTP/1.0\r\n\r\n");
        assert!(answer.ends_with("GET /on"), "{answer}");
        served.stop.stop();
        let done = served.running.join().unwrap().unwrap();
        assert_eq!((done.connections, done.cut), (401, 0));
        assert!(begun.elapsed() < Duration::from_secs(20));
        drop(idle);
    });
}
