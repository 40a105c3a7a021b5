//! redis-protocol as the client of a redis-server.

use std::io::{Read, Write};

use green::net::TcpStream;
use redis_protocol::resp2::types::{OwnedFrame, Resp2Frame};
use redis_protocol::resp2::{decode, encode};

use crate::crowd::asks_as_fast_as_one;
use test_support::child::alone;
use test_support::servers::Server;

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
            let Some(server) = Server::redis() else {
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
            let Some(server) = Server::redis() else {
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
