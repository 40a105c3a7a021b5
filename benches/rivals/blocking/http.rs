//! A small page over HTTP/1.1 in blocking style, one thread a connection.
//! Compiled over `std` and over `green`: the module that includes it brings
//! `net` and `thread` into scope.

use std::io::{self, Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use httparse::{EMPTY_HEADER, Request, Status};
use program::{Arguments, BUFFER, PAGE};

use super::net::{TcpListener, TcpStream};
use super::thread;

pub fn serve(arguments: &Arguments) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    program::announce(listener.local_addr()?)?;
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(arguments.read_timeout)?;
        // What a connection fails with is its client's affair.
        thread::Builder::new().spawn(move || drop(converse(stream)))?;
    }
    Ok(())
}

fn converse(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    let mut filled = 0;
    let mut date = Date::default();
    let mut out = Vec::with_capacity(BUFFER);
    loop {
        let mut headers = [EMPTY_HEADER; 32];
        let mut request = Request::new(&mut headers);
        match request.parse(&buffer[..filled]) {
            Ok(Status::Complete(length)) => {
                let keep_alive = answer(&request, date.now(), &mut out)?;
                stream.write_all(&out)?;
                if !keep_alive {
                    return Ok(());
                }
                buffer.copy_within(length..filled, 0);
                filled -= length;
            }
            Ok(Status::Partial) if filled < BUFFER => match stream.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                length => filled += length,
            },
            Ok(Status::Partial) => {
                return stream.write_all(b"HTTP/1.1 431 Request Header Fields Too Large\r\n\r\n");
            }
            Err(_) => return stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        }
    }
}

/// Puts the answer into `out`, and says whether the connection stays open.
fn answer(request: &Request, date: &str, out: &mut Vec<u8>) -> io::Result<bool> {
    let closes = request.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("connection")
            && header.value.eq_ignore_ascii_case(b"close")
    });
    let (status, body) = match (request.method, request.path) {
        (Some("GET"), Some("/hello")) => ("200 OK", PAGE),
        _ => ("404 Not Found", ""),
    };
    out.clear();
    write!(
        out,
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\ndate: {date}\r\n\r\n{body}",
        body.len(),
    )?;
    Ok(!closes && request.version == Some(1))
}

/// The time as HTTP writes it, put together once a second.
#[derive(Default)]
struct Date {
    second: u64,
    text: String,
}

impl Date {
    fn now(&mut self) -> &str {
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if since.as_secs() != self.second {
            self.second = since.as_secs();
            self.text = httpdate::fmt_http_date(now);
        }
        &self.text
    }
}
