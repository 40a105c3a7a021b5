//! Services of tower, and bodies as they read them.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io::{BufRead, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use green::http::{Body, IntoResponse, Request, Response, Tower};
use green::{block_on, thread};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body as _, Bytes, Frame};

use crate::hyper_client::{ask, shake_hands};
use crate::{LIMIT, Served, bounded, nobody_is_left, to_end};

/// Handlers of axum block as they like, also for their own request's body.
#[test]
fn a_router_of_axum_is_served_by_the_same_call() {
    bounded("axum", || {
        let router = Router::new()
            .route("/", get(|| async { "routed" }))
            .route(
                "/sleep",
                get(|| async {
                    thread::sleep(Duration::from_millis(20));
                    "slept"
                }),
            )
            .route(
                "/length",
                post(|body: axum::body::Body| async move {
                    let all = green::block_on(axum::body::to_bytes(body, usize::MAX)).unwrap();
                    all.len().to_string()
                }),
            )
            .route(
                "/panic",
                get(|| async {
                    if true {
                        panic!("in axum")
                    }
                }),
            );
        let served = Served::new(Tower(router));
        let ask = |what: &str| served.ask(&format!("{what} HTTP/1.0\r\n\r\n"));
        assert!(ask("GET /").ends_with("routed"));
        assert!(ask("GET /sleep").ends_with("slept"));
        assert!(ask("GET /nowhere").starts_with("HTTP/1.0 404"));
        assert!(ask("GET /panic").starts_with("HTTP/1.0 500"));
        let body = "x".repeat(50_000);
        let answer = served.ask(&format!(
            "POST /length HTTP/1.0\r\ncontent-length: 50000\r\n\r\n{body}"
        ));
        assert!(answer.ends_with("50000"), "{answer}");
        served.stop();
    });
}

/// Says how long the body is, or hands its error on.
#[derive(Clone)]
struct Length;

impl tower_service::Service<Request<Body>> for Length {
    type Response = Response<String>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async {
            // As its error's source.
            let all = axum::body::to_bytes(axum::body::Body::new(request.into_body()), 1 << 20);
            Ok(Response::new(all.await?.len().to_string()))
        })
    }
}

/// Handlers of axum with its own extractor, and the service above.
fn services(limit: Duration) -> [Served; 2] {
    let router = Router::new().route("/", post(|all: Bytes| async move { all.len().to_string() }));
    [
        Served::with(Tower(router), |server| {
            server.read_timeout(Some(limit)).max_body(10)
        }),
        Served::with(Tower(Length), |server| {
            server.read_timeout(Some(limit)).max_body(10)
        }),
    ]
}

/// What a service answers to a body in these pieces, of which nothing says how long it is: over HTTP/1 and over HTTP/2.
fn answers(served: &Served, pieces: &[&'static str], ends: bool) -> [(String, String); 2] {
    let mut stream = served.connect();
    let chunked =
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut sent = chunked.to_owned();
    for piece in pieces {
        sent += &format!("{:x}\r\n{piece}\r\n", piece.len());
    }
    sent += if ends { "0\r\n\r\n" } else { "" };
    stream.write_all(sent.as_bytes()).unwrap();
    let answer = to_end(&mut stream);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let of_http1 = (head[9..12].to_owned(), body.to_owned());

    let frames: Vec<_> = pieces
        .iter()
        .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes()))))
        .collect();
    let frames = stream::iter(frames);
    let body: UnsyncBoxBody<_, _> = match ends {
        true => StreamBody::new(frames).boxed_unsync(),
        false => StreamBody::new(frames.chain(stream::pending())).boxed_unsync(),
    };
    let (sender, running) = shake_hands(served.connect()).unwrap();
    let request = Request::post("http://localhost/").body(body).unwrap();
    let (status, body) = ask(sender, request).unwrap();
    running.join().unwrap().unwrap();
    let body = String::from_utf8(body).unwrap();
    [of_http1, (status.as_str().to_owned(), body)]
}

#[test]
fn a_body_that_is_too_long_for_a_service_is_413() {
    bounded("a long body for a service", || {
        for served in services(LIMIT) {
            for (status, body) in answers(&served, &["hello", " you!"], true) {
                assert_eq!((&*status, &*body), ("200", "10"));
            }
            for (status, body) in answers(&served, &["hello", " world"], true) {
                assert_eq!(status, "413", "{body}");
            }
            // It need not end.
            for (status, body) in answers(&served, &["hello", " world"], false) {
                assert_eq!(status, "413", "{body}");
            }
            nobody_is_left();
            served.stop();
        }
    });
}

#[test]
fn a_body_that_does_not_come_is_an_error_of_a_service() {
    bounded("a slow body for a service", || {
        let limit = Duration::from_millis(150);
        // axum has one answer to all but the length.
        for (served, expected) in services(limit).into_iter().zip(["400", "408"]) {
            for pieces in [&["hello"][..], &[]] {
                for (status, body) in answers(&served, pieces, false) {
                    assert_eq!(status, expected, "{body}");
                }
            }
            nobody_is_left();
            served.stop();
        }
    });
}

/// What was read is not told again, and all else is: of a body that came whole, and of one that comes.
#[test]
fn a_body_that_is_read_in_blocking_style_goes_on_as_a_service_s() {
    bounded("a body in both styles", || {
        let served = Served::new(|request: Request<Body>| -> std::io::Result<_> {
            let mut body = request.into_body();
            body.read_line(&mut String::new())?;
            assert!(!body.is_end_stream());
            let least = body.size_hint().lower();
            let rest = block_on(body.collect()).unwrap();
            let sum = rest
                .trailers()
                .map(|all| all["x-sum"].to_str().unwrap().to_owned());
            let length = rest.to_bytes().len();
            assert!(least <= length as u64);
            Ok(format!("{length} {sum:?}").into_response())
        });
        let ask = |fields: &str, body: &str| {
            let head = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close";
            served.ask(&format!("{head}\r\n{fields}\r\n\r\n{body}"))
        };
        for length in [5, 50_000] {
            let body = format!("\n{}", "x".repeat(length));
            let size = body.len();
            let answer = ask(&format!("content-length: {size}"), &body);
            assert!(
                answer.ends_with(&format!("\r\n\r\n{length} None")),
                "{answer}"
            );
            let chunks = format!("{size:x}\r\n{body}\r\n0\r\nx-sum: 7\r\n\r\n");
            let answer = ask("transfer-encoding: chunked", &chunks);
            let expected = format!("\r\n\r\n{length} Some(\"7\")");
            assert!(answer.ends_with(&expected), "{answer}");
        }
        served.stop();
    });
}
