//! `green::http` against raw sockets, curl, h2load, tungstenite and hyper's client.

mod abandoned;
mod bad_input;
mod clients;
mod cut_off;
mod faults;
mod frames;
mod framing;
mod grpc;
mod hyper_client;
mod idle;
mod json;
mod kept;
mod peers;
mod preface;
mod requests;
mod services;
mod stacks;
mod stopping;
mod streams;
mod tls_floods;
mod unsendable;
mod upgraded;
mod windows;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use green::http::{Body, Handler, IntoResponse, Reply, Request, Response, Server, StopHandle};
use green::net::{TcpListener, TcpStream};
use green::thread::{self, JoinHandle};

const LIMIT: Duration = Duration::from_secs(240);

fn bounded(name: &str, body: impl FnOnce()) {
    test_support::bounded(name, LIMIT, body);
}

/// A server under way.
struct Served {
    address: SocketAddr,
    stop: StopHandle,
    running: JoinHandle<std::io::Result<green::convenience::Served>>,
}

impl Served {
    fn new(handler: impl Handler) -> Served {
        Served::with(handler, |server| server)
    }

    fn with(
        handler: impl Handler,
        set: impl FnOnce(Server<TcpListener>) -> Server<TcpListener>,
    ) -> Served {
        let server = set(Server::new(green::listen("127.0.0.1:0").unwrap()));
        Served {
            address: server.listener().local_addr().unwrap(),
            stop: server.stop_handle(),
            running: thread::spawn(move || server.run(handler)),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT / 2)).unwrap();
        stream
    }

    /// Sends all and reads to the end.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        to_end(&mut stream)
    }

    fn stop(self) -> green::convenience::Served {
        self.stop.stop();
        self.running.join().unwrap().unwrap()
    }
}

fn to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset behind the answer is as good as an end.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads until `end` has come.
fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap()
}

/// What somebody panics with, whose drop panics in turn.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a payload that panics when it is dropped");
    }
}

/// What most tests serve.
fn usual(request: Request<Body>) -> std::io::Result<Response<Reply>> {
    let path = request.uri().path().to_owned();
    Ok(match &*path {
        "/echo" => Response::new(Reply::reader(request.into_body())),
        "/length" => {
            let mut body = request.into_body();
            let length = std::io::copy(&mut body, &mut std::io::sink())?;
            let trailer = body
                .trailers()
                .and_then(|trailers| trailers.get("x-sum").cloned());
            match trailer {
                Some(sum) => format!("{length} {}", sum.to_str().unwrap()).into_response(),
                None => length.to_string().into_response(),
            }
        }
        "/big" => Response::new(Reply::written(|out| {
            (0..12 * 1024).try_for_each(|n| out.write_all(&[n as u8; 1024]))
        })),
        "/cut" => Response::new(Reply::written(|out| {
            out.write_all(b"half")?;
            out.flush()?;
            Err(std::io::Error::other("no more"))
        })),
        "/panic" => panic!("a handler that panics"),
        "/bomb" => std::panic::resume_unwind(Box::new(Bomb)),
        "/sleep" => {
            thread::sleep(Duration::from_millis(300));
            "slept".into_response()
        }
        "/doze" => {
            thread::sleep(Duration::from_secs(5));
            "dozed".into_response()
        }
        "/late" => {
            thread::sleep(Duration::from_secs(3600));
            "late".into_response()
        }
        _ => format!("{} {path}", request.method()).into_response(),
    })
}

/// No green thread of a connection is left.
fn nobody_is_left() {
    let at_work = || {
        let threads = green::report().threads;
        let named = |name: &str| name.starts_with("http ");
        threads
            .iter()
            .filter(|t| t.name.as_deref().is_some_and(named))
            .count()
    };
    while at_work() > 0 {
        thread::sleep(Duration::from_millis(5));
    }
}
