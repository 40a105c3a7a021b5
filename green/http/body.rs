//! The body of a request, read in blocking style.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::time::Duration;

use bytes::{Buf, Bytes};
use greenhub::future::{block_on, timeout};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request: a [`Read`], which waits for the peer as a socket does.
///
/// A body of more than 16 KiB is received only as it is read, so a slow reader holds the sender back. With `Expect:
/// 100-continue` the first read sends the go-ahead. If a handler answers before the end of a body, that ends an
/// HTTP/1.1 connection: after the answer, what the peer still sends is dropped until the peer has ended too, has been
/// silent for two seconds, or has gone on for half a minute or 256 MiB. After that it may meet a reset.
/// Over HTTP/2 the stream is reset after the answer, with no error. curl 7.88 takes that for one, from nginx too: where this
/// matters, read the body before you answer.
///
/// # Errors
///
/// A read fails with `UnexpectedEof` or `ConnectionReset` when the peer goes in the middle, with `TimedOut` when
/// nothing comes within [`Server::read_timeout`](super::Server::read_timeout), with `FileTooLarge` beyond
/// [`Server::max_body`](super::Server::max_body), and with `InvalidData` for what is not HTTP.
///
/// # Examples
///
/// ```
/// use std::io::{self, BufRead, Read, Write};
///
/// use green::http::{self, Body, Request};
///
/// /// Never holds more of the body than a line.
/// fn count(request: Request<Body>) -> io::Result<String> {
///     let mut lines = 0;
///     for line in request.into_body().lines() {
///         line?;
///         lines += 1;
///     }
///     Ok(format!("{lines} lines"))
/// }
///
/// let listener = green::listen("127.0.0.1:0")?;
/// let mut client = green::connect(listener.local_addr()?)?;
/// green::thread::spawn(|| http::serve(listener, count));
/// client.write_all(b"POST / HTTP/1.0\r\ncontent-length: 8\r\n\r\none\ntwo\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("2 lines"), "{answer}");
/// # Ok::<(), io::Error>(())
/// ```
pub struct Body {
    incoming: Option<Incoming>,
    /// What has come and was not read.
    piece: Bytes,
    trailers: Option<HeaderMap>,
    limits: Limits,
    length: Option<u64>,
}

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long the next piece may take.
    pub(super) wait: Option<Duration>,
    /// How many bytes there may be.
    pub(super) size: u64,
}

impl Body {
    pub(super) fn new(incoming: Incoming, limits: Limits) -> Body {
        let length = incoming.size_hint().exact();
        Body {
            incoming: (!incoming.is_end_stream()).then_some(incoming),
            piece: Bytes::new(),
            trailers: None,
            limits,
            length,
        }
    }

    /// One that was received whole.
    pub(super) fn whole(piece: Bytes, trailers: Option<HeaderMap>) -> Body {
        Body {
            incoming: None,
            length: Some(piece.len() as u64),
            piece,
            trailers,
            limits: Limits {
                wait: None,
                size: u64::MAX,
            },
        }
    }

    /// How long it is, if the request says so.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The trailers, which come after the body, once it was read to its end.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// Reads all of it.
    ///
    /// # Errors
    ///
    /// See [`Body`]; `FileTooLarge` if it is longer than `most` bytes.
    pub fn read_all(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let piece = self.fill_buf()?;
            if piece.is_empty() {
                return Ok(all);
            }
            if piece.len() > most - all.len() {
                return Err(too_large());
            }
            all.extend_from_slice(piece);
            let read = piece.len();
            self.consume(read);
        }
    }

    /// Receives the next piece; false at the end.
    fn receive(&mut self) -> io::Result<bool> {
        while self.piece.is_empty() {
            let Some(incoming) = &mut self.incoming else {
                return Ok(false);
            };
            let next = match self.limits.wait {
                None => block_on(incoming.frame()),
                Some(limit) => block_on(timeout(limit, incoming.frame())).map_err(|_| {
                    let late = "no more of the body came in time";
                    io::Error::new(io::ErrorKind::TimedOut, Fault(late.into()))
                })?,
            };
            match next {
                None => self.incoming = None,
                Some(Err(error)) => return Err(told(error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        let left = self.limits.size.checked_sub(data.len() as u64);
                        self.limits.size = left.ok_or_else(too_large)?;
                        self.piece = data;
                    }
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
            }
        }
        Ok(true)
    }
}

/// Why the body of a request cannot be read: the peer's fault, not the handler's.
#[derive(Debug)]
pub(super) struct Fault(BoxError);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

fn too_large() -> io::Error {
    let long = "the body is longer than allowed";
    io::Error::new(io::ErrorKind::FileTooLarge, Fault(long.into()))
}

/// hyper's error as a socket would tell it.
fn told(error: hyper::Error) -> io::Error {
    let of_the_socket = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
        .map(io::Error::kind);
    let kind = match of_the_socket {
        Some(kind) => kind,
        None if error.is_timeout() => io::ErrorKind::TimedOut,
        None if error.is_incomplete_message() => io::ErrorKind::UnexpectedEof,
        None if error.is_parse() => io::ErrorKind::InvalidData,
        None => io::ErrorKind::ConnectionReset,
    };
    io::Error::new(kind, Fault(error.into()))
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let piece = self.fill_buf()?;
        let count = piece.len().min(buf.len());
        buf[..count].copy_from_slice(&piece[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.receive()?;
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        self.piece.advance(amount);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
