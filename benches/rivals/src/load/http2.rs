//! A small page over HTTP/2: on every connection so many requests are under way at once.
//!
//! As much of the protocol as that takes (RFC 9113). The fields of a request are put into the connection's table by
//! the first one, and named by their place there by all others, as clients do (RFC 7541).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use program::PAGE;
use program::epoll::Epoll;

use super::closed::Conversation;
use super::connections::{STALL_MS, connect};

/// Requests that a connection has under way.
const STREAMS: u64 = 10;

/// No push; and the peer may send 2^31 - 1 bytes of bodies in all, enough for a run.
const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\
    \x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\x00\x00";
const SETTINGS_TAKEN: &[u8] = b"\x00\x00\x00\x04\x01\x00\x00\x00\x00";

/// GET, http, and literals for the table: authority, path, user-agent, accept.
const FIRST: &[u8] = b"\x82\x86\x41\x09localhost\x44\x06/hello\x7a\x06rivals\x53\x03*/*";
const LATER: &[u8] = b"\x82\x86\xc1\xc0\xbf\xbe";

/// The status 200 in the static table.
const OK: u8 = 0x88;

const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
/// Of DATA and HEADERS.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Of SETTINGS and PING.
const ACK: u8 = 1;

/// Open connections and the poller that watches them.
pub struct Connections {
    epoll: Epoll,
    all: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    next_id: u32,
    unsent: Vec<u8>,
    /// A frame that has not come whole.
    begun: Vec<u8>,
    /// Bytes of bodies.
    bytes: usize,
}

impl Connections {
    /// Connects `count` times, and has each connection served once.
    pub fn open(address: SocketAddr, count: usize) -> io::Result<Connections> {
        let epoll = Epoll::new(1024)?;
        let mut all = Vec::with_capacity(count);
        for token in 0..count {
            let connection = Connection::open(address)?;
            epoll.add(&connection.stream, token as u64)?;
            all.push(connection);
        }
        Ok(Connections { epoll, all })
    }
}

impl Conversation for Connections {
    fn begin(&mut self) -> io::Result<u64> {
        for connection in &mut self.all {
            connection.ask(STREAMS)?;
        }
        Ok(STREAMS * self.all.len() as u64)
    }

    fn go_on(&mut self, more: bool) -> io::Result<(u64, u64)> {
        let ready = self.epoll.wait(STALL_MS)?;
        if ready == 0 {
            let message = "the server answers nothing";
            return Err(io::Error::new(ErrorKind::TimedOut, message));
        }
        let (mut answered, mut sent) = (0, 0);
        for index in 0..ready {
            let connection = &mut self.all[self.epoll.event(index).token as usize];
            let answers = connection.receive()?;
            answered += answers;
            if more {
                connection.ask(answers)?;
                sent += answers;
            }
        }
        Ok((answered, sent))
    }
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = connect(address)?;
        stream.set_nodelay(true)?;
        let mut connection = Connection {
            stream,
            next_id: 1,
            unsent: BEGIN.to_vec(),
            begun: Vec::new(),
            bytes: 0,
        };
        connection.ask(1)?;
        while connection.take_some()?.0 == 0 {}
        if connection.bytes != PAGE.len() {
            return Err(invalid("not the page that was asked for"));
        }
        connection.stream.set_nonblocking(true)?;
        connection.receive()?;
        Ok(connection)
    }

    /// Sends so many requests at one go.
    fn ask(&mut self, requests: u64) -> io::Result<()> {
        for _ in 0..requests {
            let fields = if self.next_id == 1 { FIRST } else { LATER };
            let flags = END_STREAM | END_HEADERS;
            self.unsent
                .extend([0, 0, fields.len() as u8, HEADERS, flags]);
            self.unsent.extend(self.next_id.to_be_bytes());
            self.unsent.extend(fields);
            self.next_id += 2;
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(length) => drop(self.unsent.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes what has arrived and says how many answers it completed.
    fn receive(&mut self) -> io::Result<u64> {
        let mut answers = 0;
        loop {
            match self.take_some() {
                Ok((more, was_full)) => {
                    answers += more;
                    if !was_full {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.flush()?;
        Ok(answers)
    }

    /// One read: how many answers it completed, and whether there may be more.
    fn take_some(&mut self) -> io::Result<(u64, bool)> {
        let mut buffer = [0; 4096];
        let length = self.stream.read(&mut buffer)?;
        if length == 0 {
            let message = "the server closed";
            return Err(io::Error::new(ErrorKind::UnexpectedEof, message));
        }
        self.begun.extend(&buffer[..length]);
        let (mut answers, mut done) = (0, 0);
        let begun = std::mem::take(&mut self.begun);
        while let Some(head) = begun[done..].first_chunk::<HEAD>() {
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let end = done + HEAD + length;
            let Some(payload) = begun.get(done + HEAD..end) else {
                break;
            };
            answers += u64::from(self.frame(head[3], head[4], payload)?);
            done = end;
        }
        self.begun = begun;
        self.begun.drain(..done);
        Ok((answers, length == buffer.len()))
    }

    /// Whether an answer ends with it.
    fn frame(&mut self, kind: u8, flags: u8, payload: &[u8]) -> io::Result<bool> {
        match kind {
            DATA => self.bytes += payload.len(),
            // A change of the table's size may come first.
            HEADERS => match payload.iter().find(|&byte| byte & 0xe0 != 0x20) {
                Some(&OK) => {}
                _ => return Err(invalid("a status that is not 200")),
            },
            SETTINGS if flags & ACK == 0 => self.unsent.extend(SETTINGS_TAKEN),
            PING if flags & ACK == 0 => {
                self.unsent.extend([0, 0, 8, PING, ACK, 0, 0, 0, 0]);
                self.unsent.extend(payload);
            }
            RST_STREAM | GOAWAY => return Err(invalid("the server gave up")),
            _ => {}
        }
        Ok(matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0)
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
