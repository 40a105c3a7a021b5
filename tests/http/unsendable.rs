//! Responses that cannot be sent as a handler, or a service, has made them: the peer gets 500, or its connection or stream is
//! cut where a body does not keep to its head, and the log has a line.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::Write;
use std::task::{Context, Poll};

use futures_util::stream;
use green::block_on;
use green::http::{Body, HeaderMap, HeaderValue, Method, Reply, Request, Response, Tower, Version};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use test_support::child::alone;

use crate::bad_input::{KEPT, logged};
use crate::hyper_client::{ask, shake_hands};
use crate::{Served, bounded, nobody_is_left};

/// What answers a path: a status, fields, and a body as a whole or in pieces.
struct Made {
    path: &'static str,
    status: u16,
    fields: &'static [(&'static str, &'static str)],
    body: Result<&'static str, &'static [&'static str]>,
    /// The line in the log behind the method and the target; none where it can be sent.
    line: Option<&'static str>,
}

const CANNOT: &str = "the handler's response cannot be sent: ";
const CUT: &str = "a response was cut off: ";
const LENGTH: &str = "content-length";

#[rustfmt::skip]
const MADE: &[Made] = &[
    Made { path: "/100", status: 100, fields: &[], body: Ok(""), line: Some("100, which is no answer") },
    Made { path: "/199", status: 199, fields: &[], body: Ok("hello"), line: Some("199, which is no answer") },
    Made { path: "/101", status: 101, fields: &[], body: Ok(""), line: Some("101, which nobody asked for") },
    Made { path: "/more", status: 200, fields: &[(LENGTH, "7")], body: Ok("hello"), line: Some("Content-Length 7 with a body of 5 bytes") },
    Made { path: "/less", status: 200, fields: &[(LENGTH, "3")], body: Ok("hello"), line: Some("Content-Length 3 with a body of 5 bytes") },
    Made { path: "/none", status: 200, fields: &[(LENGTH, "5")], body: Ok(""), line: Some("Content-Length 5 with a body of 0 bytes") },
    Made { path: "/word", status: 200, fields: &[(LENGTH, "five")], body: Ok("hello"), line: Some("Content-Length \"five\"") },
    Made { path: "/sign", status: 200, fields: &[(LENGTH, "+5")], body: Err(&["hello"]), line: Some("Content-Length \"+5\"") },
    Made { path: "/two", status: 200, fields: &[(LENGTH, "5"), (LENGTH, "6")], body: Err(&["hello"]), line: Some("more than one Content-Length") },
    Made { path: "/both", status: 200, fields: &[(LENGTH, "5"), ("transfer-encoding", "chunked")], body: Ok("hello"), line: Some("both Content-Length and Transfer-Encoding") },
    Made { path: "/coded", status: 200, fields: &[("transfer-encoding", "chunked"), (LENGTH, "5")], body: Err(&["hello"]), line: Some("both Content-Length and Transfer-Encoding") },
    Made { path: "/short", status: 200, fields: &[(LENGTH, "9")], body: Err(&["hello"]), line: Some("the body is 4 bytes shorter than its Content-Length") },
    Made { path: "/long", status: 200, fields: &[(LENGTH, "7")], body: Err(&["hello", "hello"]), line: Some("the body is longer than its Content-Length") },
    Made { path: "/panics", status: 200, fields: &[], body: Err(&["hello", "panic"]), line: Some("panicked") },
    Made { path: "/fits", status: 200, fields: &[(LENGTH, "10")], body: Err(&["hello", "hello"]), line: None },
    Made { path: "/plain", status: 200, fields: &[(LENGTH, "5")], body: Ok("hello"), line: None },
    Made { path: "/same", status: 304, fields: &[(LENGTH, "5")], body: Ok(""), line: None },
    Made { path: "/nothing", status: 204, fields: &[(LENGTH, "5")], body: Ok("hello"), line: None },
    Made { path: "/nothing-comes", status: 204, fields: &[], body: Err(&["hello"]), line: None },
];

/// The response that `body` makes.
fn made<B, T>(request: &Request<T>, body: impl FnOnce(&Made) -> B) -> Response<B> {
    let path = request.uri().path();
    let made = MADE.iter().find(|made| made.path == path).unwrap();
    // What another server's was, say.
    let mut response = Response::builder()
        .status(made.status)
        .version(Version::HTTP_3);
    for (name, value) in made.fields {
        response = response.header(*name, *value);
    }
    response.body(body(made)).unwrap()
}

fn handler(request: Request<Body>) -> Response<Reply> {
    made(&request, |made| match made.body {
        Ok(whole) => whole.into(),
        Err(pieces) => Reply::written(move |out| {
            for piece in pieces {
                assert_ne!(*piece, "panic");
                out.write_all(piece.as_bytes())?;
                out.flush()?;
            }
            Ok(())
        }),
    })
}

/// The same as a service.
#[derive(Clone)]
struct Service;

impl tower_service::Service<Request<Body>> for Service {
    type Response = Response<UnsyncBoxBody<Bytes, Infallible>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ready(Ok(made(&request, |made| match made.body {
            Ok(whole) => Full::new(Bytes::from(whole)).boxed_unsync(),
            Err(pieces) => {
                let frames = pieces.iter().map(|piece| {
                    assert_ne!(*piece, "panic");
                    Ok(Frame::data(Bytes::from(*piece)))
                });
                StreamBody::new(stream::iter(frames)).boxed_unsync()
            }
        })))
    }
}

/// The status and the body; no body if it was cut off.
type Seen = (u16, Option<String>);

fn over_http1(served: &Served, made: &Made) -> Seen {
    let mut stream = served.connect();
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        made.path
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let ended = std::io::Read::read_to_end(&mut stream, &mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.get(9..12).map_or(0, |status| status.parse().unwrap());
    (status, ended.is_ok().then(|| body.to_owned()))
}

fn over_http2(served: &Served, made: &Made) -> Seen {
    let (sender, running) = shake_hands(served.connect()).unwrap();
    let request = Request::get(format!("http://localhost{}", made.path));
    let answer = ask(sender, request.body(String::new()).unwrap());
    running.join().unwrap().unwrap();
    match answer {
        Ok((status, body)) => (status.as_u16(), Some(String::from_utf8(body).unwrap())),
        Err(_) => (200, None),
    }
}

#[test]
fn responses_that_cannot_be_sent_are_500_or_cut_off_and_a_line_in_the_log() {
    const NAME: &str =
        "unsendable::responses_that_cannot_be_sent_are_500_or_cut_off_and_a_line_in_the_log";
    alone(NAME, &[], || {
        log::set_logger(&KEPT).unwrap();
        log::set_max_level(log::LevelFilter::Info);
        let servers = [Served::new(handler), Served::new(Tower(Service))];
        let ways: [fn(&Served, &Made) -> Seen; 2] = [over_http1, over_http2];
        for (served, way) in servers
            .iter()
            .flat_map(|served| ways.map(|way| (served, way)))
        {
            for made in MADE {
                let (status, body) = way(served, made);
                let mut lines = logged(&format!("{} HTTP/", made.path));
                lines.retain(|line| line.contains(made.path));
                let context = format!("{}: {status} {body:?} {lines:?}", made.path);
                let is_cut =
                    made.body.is_err() && !matches!(made.path, "/sign" | "/two" | "/coded");
                match made.line {
                    None => {
                        assert_eq!(status, made.status, "{context}");
                        assert!(body.is_some(), "{context}");
                        assert_eq!(lines.len(), 1, "{context}");
                        continue;
                    }
                    Some(_) if is_cut => assert_eq!(body, None, "{context}"),
                    Some(_) => assert_eq!((status, body.as_deref()), (500, Some("")), "{context}"),
                }
                // What is cut off may be told before the request is, or behind it.
                while lines.len() < 2 {
                    lines.extend(logged(CUT));
                }
                let kind = if is_cut { CUT } else { CANNOT };
                let line = made.line.unwrap();
                let told: Vec<_> = lines.iter().filter(|told| told.contains(kind)).collect();
                assert_eq!((told.len(), lines.len()), (1, 2), "{context}");
                assert!(
                    told[0].contains("GET ") && told[0].contains(made.path),
                    "{context}"
                );
                assert!(told[0].ends_with(line), "{context}");
            }
        }
        // Of a body that is not sent a length may be told, and what opens a tunnel has none.
        let [served, _] = &servers;
        let ask = |what: &str| {
            served.ask(&format!(
                "{what} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            ))
        };
        let answer = ask("HEAD /none");
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("content-length: 5\r\n"),
            "{answer}"
        );
        assert!(ask("HEAD /less").starts_with("HTTP/1.1 500"));
        assert!(ask("CONNECT http://x/plain").starts_with("HTTP/1.1 500"));
        nobody_is_left();
        for served in servers {
            served.stop();
        }
    })
    .well();
}

/// What comes behind such an answer is no HTTP any more: a body would be lost, or taken for the other protocol.
#[test]
fn an_answer_that_leaves_http_has_no_body() {
    bounded("bodies of answers that leave HTTP", || {
        fn answer(request: Request<Body>) -> Response<Reply> {
            let connects = request.method() == Method::CONNECT;
            let how = match connects {
                true => request.uri().host().unwrap_or_default().to_owned(),
                false => request.uri().path()[1..].to_owned(),
            };
            let response = Response::builder().status(if connects { 200 } else { 101 });
            let response = response.header("connection", "upgrade");
            let response = match how.as_str() {
                "coded" => response.header("transfer-encoding", "chunked"),
                "zero" => response.header(LENGTH, "0"),
                _ => response,
            };
            let body = match how.as_str() {
                "whole" => "hello".into(),
                "written" => Reply::written(|out| out.write_all(b"hello")),
                _ => Reply::empty(),
            };
            response.body(body).unwrap()
        }
        let served = Served::new(answer);
        let status = |what: &str, field: &str| {
            let answer = served.ask(&format!("{what} HTTP/1.1\r\nhost: x\r\n{field}\r\n"));
            assert!(!answer.starts_with("HTTP/1.1 101") || !answer.contains(LENGTH));
            answer.get(9..12).unwrap_or("none").to_owned()
        };
        let asked = ["none", "zero", "coded", "whole", "written"];
        let connected =
            asked.map(|how| status(&format!("CONNECT {how}:80"), "connection: close\r\n"));
        assert_eq!(connected, ["200", "500", "500", "500", "500"]);
        let offer = "connection: close, upgrade\r\nupgrade: it\r\n";
        let switched = asked.map(|how| status(&format!("GET /{how}"), offer));
        assert_eq!(switched, ["101", "101", "500", "500", "500"]);
        let connected = asked.map(|how| {
            let (sender, running) = shake_hands(served.connect()).unwrap();
            let request = Request::connect(format!("{how}:80")).body(String::new());
            let answer = ask(sender, request.unwrap()).unwrap();
            running.join().unwrap().unwrap();
            answer.0.as_u16()
        });
        assert_eq!(connected, [200, 500, 500, 500, 500]);
        nobody_is_left();
        served.stop();
    });
}

/// HTTP/2 has no fields of that kind, and would reset the stream.
#[test]
fn trailers_that_speak_of_the_connection_are_left_out() {
    bounded("trailers of the connection", || {
        let served = Served::new(|_: Request<Body>| {
            let body = Reply::written(|out| {
                out.write_all(b"hello")?;
                let mut trailers = HeaderMap::new();
                for name in [
                    "connection",
                    "keep-alive",
                    "te",
                    "transfer-encoding",
                    "x-sum",
                ] {
                    trailers.insert(name, HeaderValue::from_static("7"));
                }
                out.trailers(trailers)
            });
            let named = "connection, te, x-sum";
            let response = Response::builder().header("trailer", named);
            response.body(body).unwrap()
        });
        let (mut sender, running) = shake_hands(served.connect()).unwrap();
        let request = Request::get("http://localhost/").body(String::new());
        let answer = block_on(sender.send_request(request.unwrap())).unwrap();
        let all = block_on(answer.into_body().collect()).unwrap();
        let trailers = all.trailers().unwrap();
        assert_eq!(
            (trailers.len(), &trailers["x-sum"]),
            (1, &HeaderValue::from_static("7"))
        );
        assert_eq!(all.to_bytes(), "hello");
        drop(sender);
        running.join().unwrap().unwrap();
        let answer =
            served.ask("GET / HTTP/1.1\r\nhost: x\r\nte: trailers\r\nconnection: close\r\n\r\n");
        assert!(answer.ends_with("0\r\nx-sum: 7\r\n\r\n"), "{answer}");
        served.stop();
    });
}
