//! The body of a request, read in blocking style or by a service.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, BufRead, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use greenhub::future::{Sleep, block_on, sleep};
use http::{HeaderMap, Request};
use http_body_util::{LengthLimitError, Limited};
use hyper::body::{self, Frame, Incoming, SizeHint};

use super::lent::Lent;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request: a [`Read`], which waits for the peer as a socket does.
///
/// A body of more than 16 KiB is received only as it is read, so a slow reader holds the sender back. With `Expect:
/// 100-continue` the first read sends the go-ahead. If a handler answers before the end of a body, that ends an
/// HTTP/1.1 connection: after the answer, what the peer still sends is dropped until the peer has ended too, has been
/// silent for two seconds, or has gone on for half a minute or 256 MiB. After that it may meet a reset.
/// A body that is kept beyond the answer must be read on within [`Server::read_timeout`](super::Server::read_timeout), or
/// its connection of HTTP/1 is ended, or its stream of HTTP/2 is reset. A body that is dropped unread resets its stream of HTTP/2
/// after the answer, with no error. curl 7.88 takes that for one, from nginx too: where this matters, read the body before you
/// answer.
///
/// # Errors
///
/// A read fails with `UnexpectedEof` or `ConnectionReset` when the peer goes in the middle, with `TimedOut` when
/// nothing comes within [`Server::read_timeout`](super::Server::read_timeout), with `FileTooLarge` beyond
/// [`Server::max_body`](super::Server::max_body), and with `InvalidData` for what is not HTTP.
///
/// A service in a [`Tower`](super::Tower) reads it by http-body's trait `Body`, within the same limits. The errors are the
/// same `io::Error`s; only beyond [`Server::max_body`](super::Server::max_body) it is http-body-util's `LengthLimitError`, which axum's extractors know for 413.
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
    incoming: Option<Arrives>,
    /// What has come and was not read.
    piece: Bytes,
    trailers: Option<HeaderMap>,
    /// How long the next piece may take, and until when, while somebody waits for it.
    wait: Option<Duration>,
    late: Option<Sleep>,
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

/// What brings a body.
enum Arrives {
    Alone(Limited<Incoming>),
    Lent(Arc<Lent>),
}

impl Arrives {
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Arrives::Alone(body) => body::Body::poll_frame(Pin::new(body), context),
            Arrives::Lent(lent) => lent.poll_frame(context).unwrap_or_else(|| {
                Poll::Ready(Some(Err(late("nobody has read on in the body in time"))))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Arrives::Alone(body) => body::Body::is_end_stream(body),
            Arrives::Lent(lent) => lent.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Arrives::Alone(body) => body::Body::size_hint(body),
            Arrives::Lent(lent) => lent.size_hint(),
        }
    }
}

impl Body {
    /// Of a request, which may have been given what its body is to be lent by.
    pub(super) fn of(mut request: Request<Incoming>, limits: Limits) -> Request<Body> {
        let lent = request.extensions_mut().remove::<Arc<Lent>>();
        request.map(|incoming| {
            let mut body = Body::new(incoming, limits);
            body.incoming = match (body.incoming.take(), lent) {
                (Some(Arrives::Alone(incoming)), Some(lent)) => {
                    lent.fill(incoming);
                    Some(Arrives::Lent(lent))
                }
                (incoming, _) => incoming,
            };
            body
        })
    }

    pub(super) fn new(incoming: Incoming, limits: Limits) -> Body {
        let length = body::Body::size_hint(&incoming).exact();
        let ended = body::Body::is_end_stream(&incoming);
        // Where more cannot be in memory, there is no limit either.
        let size = usize::try_from(limits.size).unwrap_or(usize::MAX);
        Body {
            incoming: (!ended).then(|| Arrives::Alone(Limited::new(incoming, size))),
            piece: Bytes::new(),
            trailers: None,
            wait: limits.wait,
            late: None,
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
            wait: None,
            late: None,
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
            if self.incoming.is_none() {
                return Ok(false);
            }
            let next = block_on(poll_fn(|context| self.poll_incoming(context)));
            match next.transpose().map_err(told)?.map(Frame::into_data) {
                None => {}
                Some(Ok(data)) => self.piece = data,
                Some(Err(frame)) => self.trailers = frame.into_trailers().ok(),
            }
        }
        Ok(true)
    }

    /// What comes next from the peer, within the limits.
    fn poll_incoming(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let polled = incoming.poll_frame(context);
        match polled {
            Poll::Pending => {
                let Some(limit) = self.wait else {
                    return Poll::Pending;
                };
                let wait = self.late.get_or_insert_with(|| sleep(limit));
                if Pin::new(wait).poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.late = None;
                return Poll::Ready(Some(Err(late("no more of the body came in time"))));
            }
            Poll::Ready(None) => self.incoming = None,
            Poll::Ready(Some(_)) => {}
        }
        self.late = None;
        polled
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

/// It took too long.
fn late(what: &'static str) -> BoxError {
    io::Error::new(io::ErrorKind::TimedOut, Fault(what.into())).into()
}

fn too_large() -> io::Error {
    let long = "the body is longer than allowed";
    io::Error::new(io::ErrorKind::FileTooLarge, Fault(long.into()))
}

/// What a body fails with, as a socket would tell it.
fn told(error: BoxError) -> io::Error {
    let error = match error.downcast::<io::Error>() {
        Ok(told) => return *told,
        Err(error) => error,
    };
    if error.is::<LengthLimitError>() {
        return too_large();
    }
    let of_the_socket = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
        .map(io::Error::kind);
    let of_hyper = error.downcast_ref::<hyper::Error>();
    let is = |what: fn(&hyper::Error) -> bool| of_hyper.is_some_and(what);
    let kind = match of_the_socket {
        Some(kind) => kind,
        None if is(hyper::Error::is_timeout) => io::ErrorKind::TimedOut,
        None if is(hyper::Error::is_incomplete_message) => io::ErrorKind::UnexpectedEof,
        None if is(hyper::Error::is_parse) => io::ErrorKind::InvalidData,
        None => io::ErrorKind::ConnectionReset,
    };
    io::Error::new(kind, Fault(error))
}

/// For services.
impl body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.piece.is_empty() {
            let piece = std::mem::take(&mut self.piece);
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        self.poll_incoming(context).map(|next| match next {
            None => self.trailers.take().map(|all| Ok(Frame::trailers(all))),
            // Who looks for that one looks for it alone.
            Some(Err(error)) if !error.is::<LengthLimitError>() => Some(Err(told(error).into())),
            next => next,
        })
    }

    fn is_end_stream(&self) -> bool {
        let incoming = self.incoming.as_ref();
        self.piece.is_empty()
            && self.trailers.is_none()
            && incoming.is_none_or(Arrives::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let (there, incoming) = (self.piece.len() as u64, self.incoming.as_ref());
        let to_come = incoming.map_or(SizeHint::with_exact(0), Arrives::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(there.saturating_add(to_come.lower()));
        if let Some(upper) = to_come.upper() {
            hint.set_upper(there.saturating_add(upper));
        }
        hint
    }
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
