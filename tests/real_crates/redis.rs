//! redis-protocol as the client of a redis-server.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use green::net::TcpStream;
use redis_protocol::resp2::types::{OwnedFrame, Resp2Frame};
use redis_protocol::resp2::{decode, encode};

use crate::crowd::asks_as_fast_as_one;
use test_support::child::alone;

/// A redis-server of the test's own, ended with it.
struct Server {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Server {
    /// `None`, with a word why, where none is installed.
    fn start() -> Option<Server> {
        let directory = tempfile::tempdir().unwrap();
        // Free a moment ago; redis cannot choose one itself. Should another
        // program take it meanwhile, redis ends, and another port is tried.
        loop {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            let started = Command::new("redis-server")
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
                .args(["--save", "", "--appendonly", "no", "--dir"])
                .arg(directory.path())
                .stdout(Stdio::null())
                .spawn();
            let mut process = match started {
                Ok(process) => process,
                Err(error) => {
                    eprintln!("skipped: redis-server cannot be started: {error}");
                    return None;
                }
            };
            while process.try_wait().unwrap().is_none() {
                if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Some(Server {
                        process,
                        port,
                        _directory: directory,
                    });
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    fn connect(port: u16) -> Client {
        Client {
            stream: TcpStream::connect(("127.0.0.1", port)).unwrap(),
            received: Vec::new(),
        }
    }

    fn call(&mut self, words: &[&[u8]]) -> OwnedFrame {
        let words = words
            .iter()
            .map(|word| OwnedFrame::BulkString(word.to_vec()));
        let call = OwnedFrame::Array(words.collect());
        let mut bytes = vec![0; call.encode_len(false)];
        let length = encode::encode(&mut bytes, &call, false).unwrap();
        self.stream.write_all(&bytes[..length]).unwrap();
        let mut piece = [0; 16 * 1024];
        loop {
            if let Some((frame, length)) = decode::decode(&self.received).unwrap() {
                self.received.drain(..length);
                return frame;
            }
            let read = self.stream.read(&mut piece).unwrap();
            assert!(read > 0, "redis-server closed the connection");
            self.received.extend_from_slice(&piece[..read]);
        }
    }
}

#[test]
fn values_are_kept_and_waits_are_woken() {
    alone(
        "redis::values_are_kept_and_waits_are_woken",
        &[("GREEN_HUBS", "1")],
        || {
            let Some(server) = Server::start() else {
                return;
            };
            let port = server.port;
            green::run(move || {
                let mut client = Client::connect(port);
                let large = vec![7; 1 << 20];
                let kept = client.call(&[b"SET", b"key", &large]);
                assert_eq!(kept, OwnedFrame::SimpleString(b"OK".to_vec()));
                assert_eq!(
                    client.call(&[b"GET", b"key"]),
                    OwnedFrame::BulkString(large)
                );
                assert_eq!(client.call(&[b"INCR", b"n"]), OwnedFrame::Integer(1));
                let error = client.call(&[b"INCR", b"key"]);
                assert!(matches!(error, OwnedFrame::Error(_)), "{error:?}");
                // One waits in the server for what its neighbour brings.
                let waiting = green::thread::spawn(move || {
                    Client::connect(port).call(&[b"BLPOP", b"list", b"30"])
                });
                client.call(&[b"RPUSH", b"list", b"item"]);
                let word = |word: &[u8]| OwnedFrame::BulkString(word.to_vec());
                let popped = waiting.join().unwrap();
                assert_eq!(
                    popped,
                    OwnedFrame::Array(vec![word(b"list"), word(b"item")])
                );
            });
        },
    )
    .well();
}

#[test]
fn two_hundred_at_once_wait_as_long_as_one() {
    alone(
        "redis::two_hundred_at_once_wait_as_long_as_one",
        &[("GREEN_HUBS", "1")],
        || {
            let Some(server) = Server::start() else {
                return;
            };
            let port = server.port;
            asks_as_fast_as_one(
                move || Client::connect(port),
                |client| {
                    // Answered with null after 50 ms, since nothing is there.
                    let popped = client.call(&[b"BLPOP", b"nothing", b"0.05"]);
                    assert_eq!(popped, OwnedFrame::Null);
                },
            );
        },
    )
    .well();
}
