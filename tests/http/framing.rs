//! Where one request ends and the next begins, as nobody can see it differently, whatever comes in pieces.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use green::channel;
use green::http::{self, Body, HeaderValue, IntoResponse, Reply, Request, Response, StatusCode};
use green::http::{Version, header};

use crate::{Served, bounded, to_end, until, usual};

const CHUNKED: &str = "POST /length HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
const SECRET: &str = "GET /secret HTTP/1.1\r\nhost: x\r\n\r\n";
const LAST: &str = "GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// The statuses of all answers to `sent`, at once or byte by byte.
fn statuses(served: &Served, sent: &str, piece: usize) -> Vec<String> {
    let mut stream = served.connect();
    stream.set_nodelay(true).unwrap();
    let mut writes = stream.try_clone().unwrap();
    for piece in sent.as_bytes().chunks(piece) {
        // A refusal may come before all was sent.
        if writes.write_all(piece).is_err() {
            break;
        }
    }
    let answers = to_end(&mut stream);
    let mut lines = answers.split("HTTP/1.1 ").skip(1);
    lines.by_ref().map(|line| line[..3].to_owned()).collect()
}

#[test]
fn a_request_in_a_body_s_last_lines_is_never_one() {
    bounded("smuggling", || {
        let served = Served::new(usual);
        for piece in [usize::MAX, 1] {
            for chunks in [
                "3;a=b\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n",
                "0;\"\u{e9}\"\t\r\n\r\n",
            ] {
                let sent = format!("{CHUNKED}{chunks}{CHUNKED}{chunks}{LAST}");
                assert_eq!(statuses(&served, &sent, piece), ["200"; 3], "{chunks:?}");
            }
            for chunks in [
                "0\r\nA: b\n\n",
                "3\r\nabc\r\n0\r\nA: b\n\r\n\r\n",
                "0\r\nA: b\rC: d\r\n\r\n",
                "0\r\nA: b\r\n c\r\n\r\n",
                "0\r\nA: \0\r\n\r\n",
                "0;\0\r\n\r\n",
                "3;\u{7f}\r\nabc\r\n0\r\n\r\n",
                "2;\nxx\r\n0\r\n\r\n",
            ] {
                let sent = format!("{SECRET}{CHUNKED}{chunks}{SECRET}");
                assert_eq!(
                    statuses(&served, &sent, piece),
                    ["200", "400"],
                    "{chunks:?}"
                );
                // Also if nobody reads the body.
                let unread = CHUNKED.replace("/length", "/unread");
                let sent = format!("{unread}{chunks}{SECRET}");
                assert_eq!(statuses(&served, &sent, piece).len(), 1, "{chunks:?}");
            }
        }
        served.stop();
    });
}

#[test]
fn an_answer_that_has_begun_is_cut_where_the_body_is_none() {
    bounded("a bad body behind an answer", || {
        let (told, hears) = channel::bounded(1);
        let served = Served::new(move |request: Request<Body>| {
            let (told, mut body) = (told.clone(), request.into_body());
            Response::new(Reply::written(move |out| {
                let copied = io::copy(&mut body, out);
                told.send(copied.as_ref().map_err(io::Error::kind).copied())
                    .unwrap();
                copied.map(drop)
            }))
        });
        let mut stream = served.connect();
        stream.write_all(CHUNKED.as_bytes()).unwrap();
        stream.write_all(b"20000\r\n").unwrap();
        stream.write_all(&[b'x'; 0x20000]).unwrap();
        until(&mut stream, "xxxx");
        stream
            .write_all(format!("\r\n0\r\nA: b\n\n{SECRET}").as_bytes())
            .unwrap();
        let rest = to_end(&mut stream);
        assert!(
            !rest.ends_with("0\r\n\r\n") && !rest.contains("HTTP/"),
            "{}",
            rest.len()
        );
        assert_eq!(hears.recv().unwrap(), Err(ErrorKind::InvalidData));
        served.stop();
    });
}

#[test]
fn a_later_minor_version_is_1_1_and_another_major_one_is_505() {
    bounded("versions", || {
        let served = Served::new(|request: Request<Body>| {
            assert_eq!(request.version(), Version::HTTP_11);
            "hello"
        });
        let version = |version: &str| LAST.replace("HTTP/1.1", version);
        for (sent, expected) in [
            (version("HTTP/1.2"), &["200"][..]),
            (format!("{SECRET}{}", version("HTTP/1.9")), &["200"; 2]),
            (format!("{SECRET}{}", version("HTTP/2.0")), &["200", "505"]),
            (format!("{}{SECRET}", version("HTTP/0.9")), &["505"]),
            (version("HTTP/3.7"), &["505"]),
            (version("HTTP/1.10"), &["400"]),
        ] {
            for piece in [usize::MAX, 1] {
                assert_eq!(statuses(&served, &sent, piece), expected, "{sent:?}");
            }
        }
        served.stop();
    });
}

/// Leaves HTTP if the path says so, and then sends back what comes.
fn parts(mut request: Request<Body>) -> Response<Reply> {
    if request.uri().path() != "/part" {
        return "stays".into_response();
    }
    http::upgrade(&mut request, |mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    for (name, value) in [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

#[test]
fn what_comes_behind_an_upgrade_passes_as_it_is() {
    const ALIEN: &str = "GET / HTTP/2.0\r\nTransfer-Encoding: chunked\r\n\r\n\n\0A B HTTP/1.9\r\n";
    bounded("bytes behind an upgrade", || {
        let served = Served::new(parts);
        let head = |path| {
            format!(
                "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"
            )
        };
        for piece in [usize::MAX, 1] {
            let sent = format!("{SECRET}{}{ALIEN}", head("/part"));
            let mut stream = served.connect();
            stream.set_nodelay(true).unwrap();
            for piece in sent.as_bytes().chunks(piece) {
                stream.write_all(piece).unwrap();
            }
            stream.shutdown(Shutdown::Write).unwrap();
            let answer = to_end(&mut stream);
            let (_, behind) = answer.split_once("HTTP/1.1 101").unwrap();
            assert!(behind.ends_with(&format!("\r\n\r\n{ALIEN}")), "{answer:?}");
            // Who is not let go is heard on.
            let sent = format!(
                "{}{}{}",
                head("/stay"),
                head("/stay"),
                LAST.replace("1.1", "1.2")
            );
            assert_eq!(statuses(&served, &sent, piece), ["200"; 3]);
        }
        served.stop();
    });
}
