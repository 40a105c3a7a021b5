//! Half an answer never passes for a whole one, also where the answer ends with the connection; and a connection that ends in
//! order is not reset.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use green::channel::{Receiver, Sender, bounded as channel};
use green::convenience::Accept;
use green::http::{Body, Reply, Request, Response, ReverseProxy, Server, Transport};
use green::net::TcpStream;
use green::ssl::{EngineKind, TlsVersion};
use green::thread;

use crate::{LIMIT, bounded, nobody_is_left, until, usual};
use test_support::certs::{client_context, server_context};

const SHORT: Duration = Duration::from_millis(150);

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

type Connect = Box<dyn Fn(SocketAddr) -> Box<dyn Stream>>;

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT / 2)).unwrap();
    stream
}

/// Runs `test` in the clear and over TLS: with what wraps a listener there, and what connects.
fn in_the_clear_and_over_tls(test: fn(&dyn Fn(Set) -> Serving, &Connect)) {
    let clear: Connect = Box::new(|address| Box::new(connect(address)));
    test(
        &|set| serve(green::listen("127.0.0.1:0").unwrap(), set),
        &clear,
    );

    let server = server_context(EngineKind::OpenSsl, TlsVersion::Tls13);
    let client = client_context(EngineKind::OpenSsl, TlsVersion::Tls13);
    let over_tls: Connect = Box::new(move |address| {
        let tls = client.connect(connect(address), "localhost").unwrap();
        // An end without close_notify is an error.
        tls.set_suppress_ragged_eofs(false);
        Box::new(tls)
    });
    let listen = || green::wrap_ssl(green::listen("127.0.0.1:0").unwrap(), &server);
    test(&|set| serve(listen(), set), &over_tls);
}

struct Set {
    write: Duration,
    head: Duration,
    grace: Duration,
    handler: Box<dyn Fn(Request<Body>) -> Response<Reply> + Send + Sync>,
}

impl Set {
    fn new(handler: impl Fn(Request<Body>) -> Response<Reply> + Send + Sync + 'static) -> Set {
        Set {
            write: LIMIT,
            head: LIMIT,
            grace: LIMIT,
            handler: Box::new(handler),
        }
    }
}

struct Serving {
    address: SocketAddr,
    stop: green::http::StopHandle,
    running: thread::JoinHandle<io::Result<green::convenience::Served>>,
}

fn serve<L>(listener: L, set: Set) -> Serving
where
    L: Accept + Send + 'static,
    L::Stream: Transport,
{
    let address = listener.as_ref().local_addr().unwrap();
    let address = address.as_socket().unwrap();
    let server = Server::new(listener)
        .write_timeout(Some(set.write))
        .head_timeout(Some(set.head))
        .grace(set.grace);
    Serving {
        address,
        stop: server.stop_handle(),
        running: thread::spawn(move || server.run(set.handler)),
    }
}

/// A server of HTTP/1.1 that sends half an answer, and resets the connection once it is told to.
fn behind(fail: Receiver<()>) -> SocketAddr {
    let listener = green::listen("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        until(&mut stream, "\r\n\r\n");
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        write!(stream, "{head}4\r\nhalf\r\n").unwrap();
        fail.recv().unwrap();
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    });
    address
}

/// Half an answer, of which the rest fails as the path says, once it may.
fn half(fail: Receiver<()>) -> impl Fn(Request<Body>) -> Response<Reply> + Send + Sync + 'static {
    let behind = behind(fail.clone());
    let proxy = ReverseProxy::new(&format!("http://{behind}")).unwrap();
    move |request| {
        let fail = fail.clone();
        let path = request.uri().path().to_owned();
        if path == "/behind" {
            return proxy.pass_on(request);
        }
        Response::new(Reply::written(move |out| {
            out.write_all(b"half")?;
            out.flush()?;
            fail.recv().unwrap();
            match &*path {
                "/errs" => Err(io::Error::other("no more")),
                "/panics" => panic!("no more"),
                _ => {
                    thread::park();
                    Ok(())
                }
            }
        }))
    }
}

fn read_half(stream: &mut dyn Stream) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\nhalf") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
}

#[test]
fn half_an_answer_does_not_end_like_a_whole_one() {
    bounded("half an answer", || {
        in_the_clear_and_over_tls(|serve, connect| {
            for path in ["/errs", "/panics", "/behind"] {
                let (tell, fail): (Sender<()>, _) = channel(1);
                let serving = serve(Set::new(half(fail)));
                let mut stream = connect(serving.address);
                write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
                read_half(&mut *stream);
                tell.send(()).unwrap();
                let end = stream.read_to_end(&mut Vec::new());
                assert_eq!(
                    end.unwrap_err().kind(),
                    ErrorKind::ConnectionReset,
                    "{path}"
                );
                serving.stop.stop();
                assert_eq!(serving.running.join().unwrap().unwrap().cut, 0);
            }
        });
    });
}

#[test]
fn nor_does_one_whose_connection_is_killed_or_whose_peer_takes_nothing() {
    bounded("a killed answer", || {
        in_the_clear_and_over_tls(|serve, connect| {
            let (tell, fail) = channel(1);
            let serving = serve(Set {
                grace: SHORT,
                ..Set::new(half(fail))
            });
            let mut stream = connect(serving.address);
            write!(stream, "GET /parks HTTP/1.0\r\n\r\n").unwrap();
            read_half(&mut *stream);
            tell.send(()).unwrap();
            serving.stop.stop();
            assert_eq!(serving.running.join().unwrap().unwrap().cut, 1);
            let end = stream.read_to_end(&mut Vec::new()).unwrap_err().kind();
            // Over TLS an end without close_notify says as much.
            let tells = [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof].contains(&end);
            assert!(tells, "{end}");

            let serving = serve(Set {
                write: SHORT,
                ..Set::new(|request| usual(request).unwrap())
            });
            let mut stream = connect(serving.address);
            write!(stream, "GET /big HTTP/1.0\r\n\r\n").unwrap();
            stream.read_exact(&mut [0]).unwrap();
            nobody_is_left();
            let end = stream.read_to_end(&mut Vec::new());
            assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
            serving.stop.stop();
            assert_eq!(serving.running.join().unwrap().unwrap().cut, 0);
        });
    });
}

#[test]
fn connections_that_end_in_order_are_not_reset() {
    bounded("ends in order", || {
        in_the_clear_and_over_tls(|serve, connect| {
            let serving = serve(Set {
                // Of a handshake too.
                head: Duration::from_secs(2),
                ..Set::new(|request| usual(request).unwrap())
            });
            let asks = [
                "GET /on HTTP/1.0\r\n\r\n",
                "GET /on HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
                // These are idle then, or send half a head.
                "GET /on HTTP/1.1\r\nhost: x\r\n\r\n",
                "GET /on HTTP/1.1\r\nhost: x\r\n\r\nGET /half HT",
            ];
            for asked in asks {
                let mut stream = connect(serving.address);
                stream.write_all(asked.as_bytes()).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                assert!(answer.ends_with("GET /on"), "{asked}: {answer}");
            }
            serving.stop.stop();
            assert_eq!(serving.running.join().unwrap().unwrap().cut, 0);

            // An idle one of a server that stops.
            let serving = serve(Set::new(|request| usual(request).unwrap()));
            let mut stream = connect(serving.address);
            stream.write_all(asks[2].as_bytes()).unwrap();
            stream.read_exact(&mut [0]).unwrap();
            serving.stop.stop();
            stream.read_to_end(&mut Vec::new()).unwrap();
            assert_eq!(serving.running.join().unwrap().unwrap().cut, 0);
        });
    });
}
