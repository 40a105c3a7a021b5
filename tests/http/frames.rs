//! Frames of HTTP/2 that break a rule of RFC 9113, and floods of them: each ends its own stream or connection, alone.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green::http::{Body, Request};
use green::net::TcpStream;

use crate::{Served, bounded, nobody_is_left, usual};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const WHOLE: u8 = END_STREAM | END_HEADERS;

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
const COMPRESSION_ERROR: u32 = 9;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields as HPACK has them without its tables.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const HOST: (&str, &str) = (":authority", "x");
/// Its answer comes long after an error has been told.
const PATH: (&str, &str) = (":path", "/doze");

/// A request with more fields.
fn asks(more: &[(&str, &str)]) -> Vec<u8> {
    fields(&[&[METHOD, SCHEME, HOST, PATH], more].concat())
}

/// A request's frame; its handler takes its time.
fn request(stream: u32, flags: u8) -> Vec<u8> {
    frame(HEADERS, flags, stream, &asks(&[]))
}

/// A whole request for `path`.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    let asked = fields(&[METHOD, SCHEME, HOST, (":path", path)]);
    frame(HEADERS, WHOLE, stream, &asked)
}

/// The head of a request with a body.
pub fn post(stream: u32, path: &str) -> Vec<u8> {
    let asked = fields(&[(":method", "POST"), SCHEME, HOST, (":path", path)]);
    frame(HEADERS, END_HEADERS, stream, &asked)
}

/// How the server ends what broke a rule.
#[derive(Debug, PartialEq)]
pub enum Fate {
    /// The connection, with this code.
    Goaway(u32),
    Reset(u32),
    Closed,
    /// It was answered.
    Answered,
}

/// What it breaks, by the section of RFC 9113; what is sent; and the code for it.
type Case = (&'static str, Vec<Vec<u8>>, &'static [u32]);

pub fn fate(stream: &mut TcpStream) -> Fate {
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            return Fate::Closed;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if stream.read_exact(&mut payload).is_err() {
            return Fate::Closed;
        }
        let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        match head[3] {
            HEADERS => return Fate::Answered,
            RST_STREAM => return Fate::Reset(code(0)),
            GOAWAY => return Fate::Goaway(code(4)),
            _ => {}
        }
    }
}

pub fn begin(served: &Served) -> TcpStream {
    let mut stream = served.connect();
    stream.write_all(PREFACE).unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
    stream
}

pub fn setting(number: u16, value: u32) -> Vec<u8> {
    let mut setting = number.to_be_bytes().to_vec();
    setting.extend(value.to_be_bytes());
    frame(SETTINGS, 0, 0, &setting)
}

/// Whether `told` is how one of `codes` may be told: an error of a stream may be made one of its connection, and one that has a
/// code of its own be told by the general one.
fn is_told(told: &Fate, codes: &[u32], of_the_stream: bool) -> bool {
    let is_one = |code: &u32| *code == PROTOCOL_ERROR || codes.contains(code);
    match told {
        Fate::Goaway(code) => is_one(code),
        Fate::Reset(code) => of_the_stream && is_one(code),
        Fate::Closed | Fate::Answered => false,
    }
}

#[test]
fn errors_of_a_connection_end_it_with_their_code() {
    bounded("errors of a connection", || {
        let served = Served::new(usual);
        let window = |stream, by: u32| frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
        let cases: Vec<Case> = vec![
            (
                "4.2 a frame that is too long",
                vec![request(1, END_HEADERS), frame(DATA, 0, 1, &[0; 16385])],
                &[FRAME_SIZE_ERROR],
            ),
            (
                "4.2 what is no frame",
                vec![vec![0xff; 64]],
                &[FRAME_SIZE_ERROR],
            ),
            (
                "4.3 a head that is no HPACK",
                vec![frame(HEADERS, WHOLE, 1, &[0xff; 32])],
                &[COMPRESSION_ERROR],
            ),
            (
                "4.3 an index that is not there",
                vec![frame(HEADERS, WHOLE, 1, &[0xfe])],
                &[COMPRESSION_ERROR],
            ),
            (
                "5.1 data of nobody",
                vec![frame(DATA, 0, 7, b"data")],
                &[PROTOCOL_ERROR],
            ),
            (
                "5.1 a reset of nobody",
                vec![frame(RST_STREAM, 0, 7, &[0; 4])],
                &[PROTOCOL_ERROR],
            ),
            (
                "5.1 a window of nobody",
                vec![window(7, 1)],
                &[PROTOCOL_ERROR],
            ),
            (
                "5.1.1 a stream of the server's",
                vec![request(2, WHOLE)],
                &[PROTOCOL_ERROR],
            ),
            (
                "5.1.1 a number that went by",
                vec![request(5, WHOLE), request(3, WHOLE)],
                &[PROTOCOL_ERROR, STREAM_CLOSED],
            ),
            (
                "6.1 data of the connection",
                vec![frame(DATA, 0, 0, b"data")],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.1 more padding than frame",
                vec![request(1, END_HEADERS), frame(DATA, PADDED, 1, &[9, 1, 2])],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.2 a head of the connection",
                vec![request(0, WHOLE)],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.2 more padding than head",
                vec![frame(HEADERS, WHOLE | PADDED, 1, &[0xff, 0x82])],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.3 a priority of the connection",
                vec![frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 9])],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.4 a reset of the connection",
                vec![frame(RST_STREAM, 0, 0, &[0; 4])],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.4 a reset of three bytes",
                vec![request(1, END_HEADERS), frame(RST_STREAM, 0, 1, &[0; 3])],
                &[FRAME_SIZE_ERROR],
            ),
            (
                "6.5 settings of a stream",
                vec![frame(SETTINGS, 0, 1, &[])],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.5 settings that acknowledge and set",
                vec![frame(SETTINGS, ACK, 0, &[0; 6])],
                &[FRAME_SIZE_ERROR],
            ),
            (
                "6.5 half a setting",
                vec![frame(SETTINGS, 0, 0, &[0; 3])],
                &[FRAME_SIZE_ERROR],
            ),
            (
                "6.5.2 a push that is neither on nor off",
                vec![setting(2, 2)],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.5.2 a window that is too large",
                vec![setting(4, 1 << 31)],
                &[FLOW_CONTROL_ERROR],
            ),
            (
                "6.5.2 frames that are too small",
                vec![setting(5, 1)],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.6 a promise from a client",
                vec![frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82])],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.7 a ping of a stream",
                vec![frame(PING, 0, 1, &[0; 8])],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.7 a ping of seven bytes",
                vec![frame(PING, 0, 0, &[0; 7])],
                &[FRAME_SIZE_ERROR],
            ),
            (
                "6.8 a goodbye of a stream",
                vec![frame(GOAWAY, 0, 1, &[0; 8])],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.9 a window that stays",
                vec![window(0, 0)],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.9 a window of three bytes",
                vec![frame(WINDOW_UPDATE, 0, 0, &[0; 3])],
                &[FRAME_SIZE_ERROR],
            ),
            (
                "6.9.1 a window that overflows",
                vec![window(0, (1 << 31) - 1)],
                &[FLOW_CONTROL_ERROR],
            ),
            (
                "6.10 a continuation of nothing",
                vec![frame(CONTINUATION, END_HEADERS, 1, &[])],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.10 data within a head",
                vec![request(1, END_STREAM), frame(DATA, 0, 1, b"data")],
                &[PROTOCOL_ERROR],
            ),
        ];
        for (name, frames, codes) in cases {
            let mut stream = begin(&served);
            stream.write_all(&frames.concat()).unwrap();
            let told = fate(&mut stream);
            assert!(is_told(&told, codes, false), "{name}: {told:?}");
            drop(stream);
            let answer = served.ask("GET /on HTTP/1.0\r\n\r\n");
            assert!(answer.ends_with("GET /on"), "{name}: {answer}");
        }
        nobody_is_left();
        assert_eq!(served.stop().cut, 0);
    });
}

/// The connection goes on, unless the server makes it an error of the connection.
#[test]
fn errors_of_a_stream_reset_it_with_their_code() {
    bounded("errors of a stream", || {
        let served = Served::new(usual);
        let heads = |head: Vec<u8>| vec![frame(HEADERS, WHOLE, 1, &head)];
        let cases: Vec<Case> = vec![
            (
                "5.1 data behind the end",
                vec![request(1, WHOLE), frame(DATA, 0, 1, b"data")],
                &[STREAM_CLOSED],
            ),
            (
                "5.1.2 more streams than allowed",
                (0..250).map(|n| request(2 * n + 1, WHOLE)).collect(),
                &[REFUSED_STREAM, PROTOCOL_ERROR],
            ),
            (
                "6.3 a priority of four bytes",
                vec![request(1, END_HEADERS), frame(PRIORITY, 0, 1, &[0; 4])],
                &[FRAME_SIZE_ERROR],
            ),
            (
                "6.9 a window that stays",
                vec![request(1, END_HEADERS), frame(WINDOW_UPDATE, 0, 1, &[0; 4])],
                &[PROTOCOL_ERROR],
            ),
            (
                "6.9.1 a window that overflows",
                vec![
                    request(1, END_HEADERS),
                    frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff]),
                ],
                &[FLOW_CONTROL_ERROR],
            ),
            (
                "8.1.1 more than was announced",
                vec![
                    frame(HEADERS, END_HEADERS, 1, &asks(&[("content-length", "1")])),
                    frame(DATA, END_STREAM, 1, b"data"),
                ],
                &[PROTOCOL_ERROR],
            ),
            (
                "8.1.1 less than was announced",
                vec![
                    frame(HEADERS, END_HEADERS, 1, &asks(&[("content-length", "9")])),
                    frame(DATA, END_STREAM, 1, b"data"),
                ],
                &[PROTOCOL_ERROR],
            ),
            (
                "8.2 a name in capitals",
                heads(asks(&[("X-Name", "x")])),
                &[PROTOCOL_ERROR],
            ),
            (
                "8.2.2 a field of the connection",
                heads(asks(&[("connection", "close")])),
                &[PROTOCOL_ERROR],
            ),
            (
                "8.2.2 a transfer coding",
                heads(asks(&[("transfer-encoding", "chunked")])),
                &[PROTOCOL_ERROR],
            ),
            (
                "8.2.2 TE of more than trailers",
                heads(asks(&[("te", "gzip")])),
                &[PROTOCOL_ERROR],
            ),
            (
                "8.3 a pseudo-field that is none",
                heads(asks(&[(":name", "x")])),
                &[PROTOCOL_ERROR],
            ),
            (
                "8.3 a response's pseudo-field",
                heads(asks(&[(":status", "200")])),
                &[PROTOCOL_ERROR],
            ),
            (
                "8.3 a pseudo-field behind others",
                heads(fields(&[METHOD, SCHEME, ("x", "y"), PATH])),
                &[PROTOCOL_ERROR],
            ),
            (
                "8.3.1 no method",
                heads(fields(&[SCHEME, HOST, PATH])),
                &[PROTOCOL_ERROR],
            ),
            (
                "8.3.1 no scheme",
                heads(fields(&[METHOD, HOST, PATH])),
                &[PROTOCOL_ERROR],
            ),
            (
                "8.3.1 no path",
                heads(fields(&[METHOD, SCHEME, HOST])),
                &[PROTOCOL_ERROR],
            ),
            (
                "8.3.1 an empty path",
                heads(fields(&[METHOD, SCHEME, HOST, (":path", "")])),
                &[PROTOCOL_ERROR],
            ),
            (
                "8.3.1 two methods",
                heads(asks(&[METHOD])),
                &[PROTOCOL_ERROR],
            ),
        ];
        for (name, frames, codes) in cases {
            let mut stream = begin(&served);
            stream.write_all(&frames.concat()).unwrap();
            let told = fate(&mut stream);
            assert!(is_told(&told, codes, true), "{name}: {told:?}");
            drop(stream);
            let answer = served.ask("GET /on HTTP/1.0\r\n\r\n");
            assert!(answer.ends_with("GET /on"), "{name}: {answer}");
        }
        nobody_is_left();
        assert_eq!(served.stop().cut, 0);
    });
}

/// RFC 9113, 8.3.1: two servers in a row must not take a request for that of two hosts.
#[test]
fn a_request_of_http2_names_one_host() {
    const STATUS_400: u8 = 0x8c;
    bounded("hosts of HTTP/2", || {
        let served = Served::new(usual);
        let cases: [(&[(&str, &str)], u8); 11] = [
            (&[], STATUS_400),
            (&[("host", "a"), ("host", "b")], STATUS_400),
            (&[("host", "a"), ("host", "a")], STATUS_400),
            (&[("host", "u@a")], STATUS_400),
            (&[(":authority", "u@a")], STATUS_400),
            (&[(":authority", "a"), ("host", "b")], STATUS_400),
            (&[(":authority", "a")], STATUS_200),
            (&[("host", "a")], STATUS_200),
            (&[(":authority", "a"), ("host", "A")], STATUS_200),
            (&[(":authority", "a:80"), ("host", "a")], STATUS_200),
            (&[(":authority", "a:81"), ("host", "a")], STATUS_400),
        ];
        for (named, status) in cases {
            let mut stream = begin(&served);
            let head = [&[METHOD, SCHEME, (":path", "/on")], named].concat();
            let asked = frame(HEADERS, WHOLE, 1, &fields(&head));
            stream.write_all(&asked).unwrap();
            assert_eq!(answered(&mut stream), status, "{named:?}");
        }
        assert_eq!(served.stop().cut, 0);
    });
}

/// `:status` as HPACK's table has it.
pub const STATUS_200: u8 = 0x88;

/// The first byte of an answer's head.
pub fn answered(stream: &mut TcpStream) -> u8 {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).unwrap();
        if head[3] == HEADERS {
            return payload[0];
        }
    }
}

/// A head that goes on in one CONTINUATION after the other, and one whose few bytes stand for megabytes.
#[test]
fn heads_of_http2_without_end_never_reach_a_handler() {
    bounded("heads without end", || {
        let called = Arc::new(AtomicUsize::new(0));
        let counted = called.clone();
        let served = Served::new(move |_: Request<Body>| {
            counted.fetch_add(1, Ordering::Relaxed);
            "called"
        });
        let mut stream = begin(&served);
        let mut heard = stream.try_clone().unwrap();
        let told = green::thread::spawn(move || fate(&mut heard));
        let head = asks(&[]);
        stream
            .write_all(&frame(HEADERS, END_STREAM, 1, &head))
            .unwrap();
        let more = frame(CONTINUATION, 0, 1, &fields(&[("x", "y")]));
        while !told.is_finished() && stream.write_all(&more).is_ok() {}
        let told = told.join().unwrap();
        assert!(!matches!(told, Fate::Answered), "{told:?}");
        drop(stream);

        // One field goes into the table, and is named 4000 times: 16 MB.
        let mut bomb = asks(&[]);
        bomb.extend([0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
        bomb.extend([b'y'; 4000]);
        bomb.extend([0xbe; 4000]);
        let mut stream = begin(&served);
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        stream.write_all(&frame(HEADERS, WHOLE, 1, &bomb)).unwrap();
        fate(&mut stream);
        drop(stream);

        assert!(served.ask("GET / HTTP/1.0\r\n\r\n").ends_with("called"));
        assert_eq!(called.load(Ordering::Relaxed), 1);
        nobody_is_left();
        assert_eq!(served.stop().cut, 0);
    });
}
