//! A request, and the length of its answer: the same each time.

use std::io::{self, ErrorKind, Read};

use program::MESSAGE;

use super::connections::ReadWrite;

/// Requests that one call may send.
const BATCH: usize = 16;

/// What goes over a connection, again and again.
pub struct Exchange {
    /// So many requests, one behind the other.
    batch: Vec<u8>,
    answer: usize,
}

impl Exchange {
    /// A message that comes back as it is.
    pub fn echo(stream: &mut dyn ReadWrite) -> io::Result<Exchange> {
        let exchange = Exchange {
            batch: vec![b'.'; BATCH * MESSAGE],
            answer: MESSAGE,
        };
        exchange.once(stream)?;
        Ok(exchange)
    }

    /// A small page asked for over HTTP/1.1 on a connection that stays open.
    /// The first answer tells the length of every other.
    pub fn http(stream: &mut dyn ReadWrite) -> io::Result<Exchange> {
        const REQUEST: &[u8] =
            b"GET /hello HTTP/1.1\r\nHost: localhost\r\nUser-Agent: rivals\r\nAccept: */*\r\n\r\n";
        stream.write_all(REQUEST)?;
        Ok(Exchange {
            batch: REQUEST.repeat(BATCH),
            answer: read_answer(stream)?,
        })
    }

    /// Sends a request and takes the answer.
    pub fn once(&self, stream: &mut dyn ReadWrite) -> io::Result<()> {
        stream.write_all(&self.batch[..self.request()])?;
        stream.read_exact(&mut vec![0; self.answer])
    }

    /// The length of a request.
    pub fn request(&self) -> usize {
        self.batch.len() / BATCH
    }

    /// The length of an answer.
    pub fn answer(&self) -> usize {
        self.answer
    }

    /// What is next to be sent when `unsent` bytes of requests are left, or its
    /// beginning.
    pub fn tail(&self, unsent: usize) -> &[u8] {
        let begun = unsent.next_multiple_of(self.request()) - unsent;
        let left = &self.batch[begun..];
        &left[..unsent.min(left.len())]
    }
}

/// Reads one answer with a `Content-Length` and gives its length in all.
fn read_answer(stream: &mut dyn Read) -> io::Result<usize> {
    let invalid = |what| io::Error::new(ErrorKind::InvalidData, what);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = str::from_utf8(&head).map_err(|_| invalid("a head that is not text"))?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(invalid("not the page that was asked for"));
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .ok_or_else(|| invalid("an answer without a length"))?;
    stream.read_exact(&mut vec![0; length])?;
    Ok(head.len() + length)
}
