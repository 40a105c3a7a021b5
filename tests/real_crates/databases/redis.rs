//! redis: what a user that unwinds leaves half read cannot be used again.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use green::net::TcpStream;
use green::pools::Pool;
use green::{thread, timeout};
use redis_protocol::resp2::types::{OwnedFrame, Resp2Frame};
use redis_protocol::resp2::{decode, encode};

use test_support::bounded;
use test_support::servers::Server;

const LIMIT: Duration = Duration::from_secs(60);

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// Calls whose answers have not come.
    asked: usize,
}

impl Connection {
    fn call(&mut self, words: &[&str]) -> io::Result<OwnedFrame> {
        let words = words
            .iter()
            .map(|word| OwnedFrame::BulkString(word.as_bytes().to_vec()));
        let call = OwnedFrame::Array(words.collect());
        let mut bytes = vec![0; call.encode_len(false)];
        let length = encode::encode(&mut bytes, &call, false).map_err(io::Error::other)?;
        self.asked += 1;
        self.stream.write_all(&bytes[..length])?;
        let mut piece = [0; 4096];
        loop {
            if let Some((frame, length)) =
                decode::decode(&self.received).map_err(io::Error::other)?
            {
                self.received.drain(..length);
                self.asked -= 1;
                return Ok(frame);
            }
            match self.stream.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.received.extend_from_slice(&piece[..read]),
            }
        }
    }

    fn number(&mut self, words: &[&str]) -> i64 {
        match self.call(words).unwrap() {
            OwnedFrame::Integer(number) => number,
            other => panic!("{words:?} gave {other:?}"),
        }
    }

    fn is(&mut self, words: &[&str], answer: &str) -> bool {
        let answer = OwnedFrame::SimpleString(answer.as_bytes().to_vec());
        self.call(words).is_ok_and(|said| said == answer)
    }
}

/// A pool of one.
fn pool(port: u16) -> Arc<Pool<Connection>> {
    let create = move || {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        Ok(Connection {
            stream,
            received: Vec::new(),
            asked: 0,
        })
    };
    Arc::new(
        Pool::new(1, create)
            .check(|connection: &mut Connection| connection.is(&["PING"], "PONG"))
            .cleanup(LIMIT, |connection| {
                connection.asked == 0 && connection.is(&["DISCARD"], "OK")
            }),
    )
}

#[test]
fn a_connection_is_cleaned_up_where_that_can_be_and_else_replaced() {
    bounded("a pool of connections to redis", LIMIT * 2, || {
        let Some(server) = Server::redis() else {
            return;
        };
        let pool = pool(server.port);
        let first = pool.get().unwrap().number(&["CLIENT", "ID"]);

        // Between two calls, in a transaction.
        let theirs = pool.clone();
        let cut = thread::spawn(move || {
            let mut connection = theirs.get().unwrap();
            assert!(connection.is(&["MULTI"], "OK"));
            assert!(connection.is(&["INCR", "n"], "QUEUED"));
            std::panic::resume_unwind(Box::new("a user's panic"));
        });
        assert!(cut.join().is_err());
        let mut connection = pool.get().unwrap();
        assert_eq!(connection.number(&["EXISTS", "n"]), 0);
        assert_eq!(connection.number(&["CLIENT", "ID"]), first);
        drop(connection);

        // In the middle of a call: its answer may come yet.
        let waits = || pool.get().unwrap().call(&["BLPOP", "list", "0"]).is_ok();
        assert!(timeout(Duration::from_secs(1), waits).is_err());
        assert_eq!((pool.size(), pool.free()), (0, 1));
        let mut connection = pool.get().unwrap();
        let second = connection.number(&["CLIENT", "ID"]);
        assert!(second > first);
        // The one before has gone from the server too: nobody takes this from the list.
        while !matches!(connection.call(&["CLIENT", "LIST"]), Ok(OwnedFrame::BulkString(list)) if list.iter().filter(|&&b| b == b'\n').count() == 1)
        {
            thread::yield_now();
        }
        assert_eq!(connection.number(&["RPUSH", "list", "item"]), 1);

        // Ended by the server while idle.
        let id = second.to_string();
        let _ = connection.call(&["CLIENT", "KILL", "ID", &id, "SKIPME", "no"]);
        drop(connection);
        assert!(pool.get().unwrap().number(&["CLIENT", "ID"]) > second);
    });
}
