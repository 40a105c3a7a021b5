//! hyper's client connection for HTTP/2 over an `Async`: many requests at once on one connection, in the clear and over TLS.

use std::error::Error;
use std::time::Duration;

use green::aio::{Async, PollRead, PollWrite};
use green::convenience::Served as Ended;
use green::http::{ALPN, GreenExecutor, GreenTimer, Request, Server, StatusCode, Version};
use green::net::TcpStream;
use green::ssl::{EngineKind, TlsVersion};
use green::{block_on, future, thread};
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::client::conn::http2::{Builder, SendRequest};
use test_support::certs::{client_context, server_context};

use crate::{LIMIT, Served, bounded, nobody_is_left, usual};

type Running = thread::JoinHandle<hyper::Result<()>>;

pub fn shake_hands<S, B>(stream: S) -> hyper::Result<(SendRequest<B>, Running)>
where
    S: PollRead + PollWrite + Unpin + Send + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut builder = Builder::new(GreenExecutor);
    builder.timer(GreenTimer).keep_alive_interval(LIMIT / 4);
    let (sender, connection) = block_on(builder.handshake(Async::new(stream)))?;
    Ok((sender, future::spawn(connection)))
}

/// In blocking style.
pub fn ask<B: Body + 'static>(
    mut sender: SendRequest<B>,
    request: Request<B>,
) -> hyper::Result<(StatusCode, Vec<u8>)> {
    let answer = block_on(sender.send_request(request))?;
    assert_eq!(answer.version(), Version::HTTP_2);
    let status = answer.status();
    let body = block_on(answer.into_body().collect())?;
    Ok((status, body.to_bytes().to_vec()))
}

fn request(base: &str, path: &str, body: &str) -> Request<String> {
    let request = Request::post(format!("{base}{path}"));
    request.body(body.to_owned()).unwrap()
}

/// A hundred green threads and an error or two; all on this connection.
fn the_usual<S>(base: &'static str, stream: S)
where
    S: PollRead + PollWrite + Unpin + Send + 'static,
{
    let (sender, running) = shake_hands(stream).unwrap();
    let sleeper = thread::spawn({
        let sender = sender.clone();
        move || ask(sender, request(base, "/late", ""))
    });
    let asking: Vec<_> = (0..100)
        .map(|n| {
            let sender = sender.clone();
            thread::spawn(move || {
                let sent = format!("{n} ").repeat(30_000);
                let (status, echoed) = ask(sender, request(base, "/echo", &sent)).unwrap();
                assert_eq!(status, StatusCode::OK);
                assert!(echoed == sent.as_bytes(), "{n}");
            })
        })
        .collect();
    asking.into_iter().for_each(|asked| asked.join().unwrap());

    // What fails ends its own stream alone.
    let (status, _) = ask(sender.clone(), request(base, "/panic", "")).unwrap();
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(ask(sender.clone(), request(base, "/cut", "")).is_err());
    sleeper.kill().unwrap();
    assert!(sleeper.join().is_err());
    let late = || ask(sender.clone(), request(base, "/late", ""));
    assert!(green::timeout(Duration::from_millis(50), late).is_err());
    let (_, page) = ask(sender.clone(), request(base, "/page", "")).unwrap();
    assert_eq!(page, b"POST /page");

    // The connection ends with its last sender.
    drop(sender);
    running.join().unwrap().unwrap();
}

#[test]
fn a_hundred_requests_of_hypers_client_share_one_connection() {
    bounded("hyper's client", || {
        let served = Served::with(usual, |server| server.end_abandoned(true));
        the_usual("http://localhost", served.connect());
        nobody_is_left();
        assert_one(&served.stop());
    });
}

#[test]
fn so_do_they_over_tls_once_both_have_agreed_on_h2() {
    bounded("hyper's client over TLS", || {
        let context = server_context(EngineKind::OpenSsl, TlsVersion::Tls13);
        context.set_alpn_protocols(&ALPN).unwrap();
        let listener = green::listen("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::new(green::wrap_ssl(listener, &context)).end_abandoned(true);
        let stop = server.stop_handle();
        let running = thread::spawn(|| server.run(usual));

        let context = client_context(EngineKind::OpenSsl, TlsVersion::Tls13);
        context.set_alpn_protocols(&["h2"]).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        let stream = context.connect(stream, "localhost").unwrap();
        assert_eq!(
            stream.negotiated_alpn().unwrap().as_deref(),
            Some(&b"h2"[..])
        );
        the_usual("https://localhost", stream);
        nobody_is_left();
        stop.stop();
        assert_one(&running.join().unwrap().unwrap());
    });
}

fn assert_one(ended: &Ended) {
    assert_eq!((ended.connections, ended.cut), (1, 0), "{ended:?}");
}
