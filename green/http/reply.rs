//! The body of a response, given whole, read from somewhere, or written bit by bit.

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::iter;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use greenhub::future::block_on;
use greenhub::{catch_panic, discard_panic, one_line};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::LengthLimitError;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::announced::Announced;
use super::body::{BoxError, Fault};
use super::framing::Exchange;
use super::named::Named;
use super::pace::Waits;
use super::rt::{Crew, Interest};
use crate::thread::panicking;

/// Fields that speak of a connection, which no trailer may.
const OF_THE_CONNECTION: [&str; 6] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

const ANNOUNCED: &str = "a body is announced before it is sent";

/// How much is sent in one piece.
const PIECE: usize = 16 * 1024;

/// The body of a response.
///
/// Text and bytes become one by `From`. [`Reply::written`] takes a closure that writes it, [`Reply::reader`] a
/// [`Read`]; both run on a green thread of their own while the body is being sent, at the pace of the peer.
///
/// ```
/// use std::io::{self, Read, Write};
///
/// use green::http::{self, Body, Reply, Request, Response};
///
/// fn answer(request: Request<Body>) -> Response<Reply> {
///     Response::new(match request.uri().path() {
///         "/text" => "a few words".into(),
///         "/read" => Reply::reader(io::repeat(b'a').take(100_000)),
///         _ => Reply::written(|out| (1..=3).try_for_each(|n| writeln!(out, "{n}"))),
///     })
/// }
///
/// let listener = green::listen("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// green::thread::spawn(|| http::serve(listener, answer));
/// for (path, end) in [("/text", "a few words"), ("/read", "aaaa"), ("/", "1\n2\n3\n")] {
///     let mut client = green::connect(address)?;
///     write!(client, "GET {path} HTTP/1.0\r\n\r\n")?;
///     let mut answer = String::new();
///     client.read_to_string(&mut answer)?;
///     assert!(answer.ends_with(end), "{path}");
/// }
/// # Ok::<(), io::Error>(())
/// ```
pub struct Reply(Kind);

type Writes = Box<dyn FnOnce(&mut Writer) -> io::Result<()> + Send>;

enum Kind {
    Whole(Bytes),
    /// Begins when the first piece is asked for, which is never for HEAD.
    Later(Writes, Option<Box<Announced>>),
    Running(Pieces),
    /// A service's own.
    #[cfg(feature = "tower")]
    Boxed(
        http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>,
        Option<Box<Announced>>,
    ),
    Ended,
}

impl Reply {
    /// No body.
    pub fn empty() -> Reply {
        Reply(Kind::Whole(Bytes::new()))
    }

    /// What `write` writes. It is called when the head has been sent; a write waits while the peer does not read. An
    /// error is logged, and cuts the response off, so that the peer does not take it for complete: a connection of HTTP/1
    /// is reset, a stream of HTTP/2 too. Only over a Unix socket, which knows no reset, does it look complete to a peer that
    /// asked in HTTP/1.0; have a proxy in front ask in 1.1. A response with a `Content-Length` is cut off, too, where what is written
    /// is not so long.
    pub fn written(write: impl FnOnce(&mut Writer) -> io::Result<()> + Send + 'static) -> Reply {
        Reply(Kind::Later(Box::new(write), None))
    }

    /// What `read` returns until its end: a file, a pipe, another response. The result of each read is sent at once.
    pub fn reader(mut read: impl Read + Send + 'static) -> Reply {
        Reply::written(move |out| {
            let mut buffer = vec![0; PIECE];
            loop {
                match read.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(count) => {
                        out.write_all(&buffer[..count])?;
                        out.flush()?;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        })
    }

    #[cfg(feature = "tower")]
    pub(super) fn boxed<B>(body: B) -> Reply
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        use http_body_util::BodyExt;
        let body = body.map_err(Into::into).boxed_unsync();
        Reply(Kind::Boxed(body, None))
    }

    /// Says whose it is, and how long it is to be where that is known.
    pub(super) fn announce(&mut self, named: Named, left: Option<u64>) {
        let announced = match &mut self.0 {
            Kind::Later(_, announced) => announced,
            #[cfg(feature = "tower")]
            Kind::Boxed(_, announced) => announced,
            Kind::Whole(_) | Kind::Running(_) | Kind::Ended => return,
        };
        *announced = Some(Box::new(Announced { named, left }));
    }

    /// Drops it where no handler is: one that was not begun, or a service's, has values whose drops may panic.
    pub(super) fn discard(self) {
        let announced = match &self.0 {
            Kind::Later(_, announced) => announced,
            #[cfg(feature = "tower")]
            Kind::Boxed(_, announced) => announced,
            Kind::Whole(_) | Kind::Running(_) | Kind::Ended => return,
        };
        let named = announced.as_ref().map(|it| it.named.clone());
        if let Err(payload) = catch_panic(|| drop(self)) {
            discard_panic(payload);
            let named = named.map_or_else(|| "a request".to_owned(), |it| it.to_string());
            log::error!("{named}: what makes a body panicked when it was dropped");
        }
    }

    /// On its way over a connection, which is cut where the body is, and told of its end.
    pub(super) fn of_http1(self, crew: &Crew, exchange: Exchange) -> Running {
        self.running(crew, Some(exchange), None)
    }

    /// On its way over a stream, and telling when a piece of it waits for the peer.
    pub(super) fn of_http2(self, crew: &Crew, waits: Waits) -> Running {
        self.running(crew, None, Some(waits))
    }

    #[inline(always)]
    fn running(self, crew: &Crew, exchange: Option<Exchange>, waits: Option<Waits>) -> Running {
        Running {
            crew: matches!(self.0, Kind::Later(..)).then(|| crew.clone()),
            reply: self,
            exchange,
            waits,
        }
    }

    /// Its length, if it is known before it is sent.
    pub(super) fn length(&self) -> Option<u64> {
        match &self.0 {
            Kind::Whole(bytes) => Some(bytes.len() as u64),
            #[cfg(feature = "tower")]
            Kind::Boxed(body, _) if body.is_end_stream() => Some(0),
            #[cfg(feature = "tower")]
            Kind::Boxed(body, _) => body.size_hint().exact(),
            _ => None,
        }
    }
}

impl Default for Reply {
    fn default() -> Reply {
        Reply::empty()
    }
}

impl From<()> for Reply {
    fn from((): ()) -> Reply {
        Reply::empty()
    }
}

macro_rules! whole {
    ($($from:ty),+) => {$(
        impl From<$from> for Reply {
            fn from(all: $from) -> Reply {
                Reply(Kind::Whole(all.into()))
            }
        }
    )+};
}

whole!(&'static str, String, &'static [u8], Vec<u8>, Bytes);

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("length", &self.length())
            .finish_non_exhaustive()
    }
}

/// Where the closure of [`Reply::written`] writes to.
///
/// Up to 16 KiB are kept back until a flush or the end; each piece is sent as one chunk, or as one DATA frame.
///
/// ```
/// use std::io::{Read, Write};
/// use std::time::Duration;
///
/// use green::http::{self, Body, Reply, Request, Writer};
///
/// /// Events, each of which is sent when it happens.
/// fn tick(out: &mut Writer) -> std::io::Result<()> {
///     for n in 1..=3 {
///         green::thread::sleep(Duration::from_millis(1));
///         write!(out, "data: {n}\n\n")?;
///         out.flush()?;
///     }
///     Ok(())
/// }
///
/// let listener = green::listen("127.0.0.1:0")?;
/// let mut client = green::connect(listener.local_addr()?)?;
/// green::thread::spawn(|| {
///     http::serve(listener, |_: Request<Body>| http::Response::new(Reply::written(tick)))
/// });
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("data: 1\n\ndata: 2\n\ndata: 3\n\n"), "{answer}");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Writer {
    announced: Box<Announced>,
    pending: BytesMut,
    pieces: mpsc::Sender<Frame<Bytes>>,
}

impl Writer {
    /// Ends the body, and sends `trailers` after it. HTTP/1.1 sends only those that the response's header `Trailer`
    /// names, and only to a peer that says `TE: trailers`.
    ///
    /// # Errors
    ///
    /// As a write.
    pub fn trailers(&mut self, trailers: HeaderMap) -> io::Result<()> {
        self.flush()?;
        self.send(Frame::trailers(trailers))
    }

    fn send(&mut self, frame: Frame<Bytes>) -> io::Result<()> {
        block_on(self.pieces.send(frame))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the peer has gone"))
    }
}

impl Write for Writer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.announced.pass(buf.len())?;
        self.pending.extend_from_slice(buf);
        if self.pending.len() >= PIECE {
            self.flush()?;
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.pending.is_empty() {
            true => Ok(()),
            false => {
                let piece = self.pending.split().freeze();
                self.send(Frame::data(piece))
            }
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

/// What a writer on a thread of its own sends.
struct Pieces {
    receiver: mpsc::Receiver<Frame<Bytes>>,
    /// Whether it came to its end: else the peer must not take what there was for all.
    whole: Arc<AtomicBool>,
    /// In the writer: it goes when this does.
    _interest: Interest,
}

impl Pieces {
    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(match ready!(self.receiver.poll_recv(context)) {
            Some(frame) => Some(Ok(frame)),
            None if self.whole.load(Ordering::Acquire) => None,
            None => Some(Err("the body was cut off".into())),
        })
    }
}

/// A body on its way, as hyper polls it.
pub(super) struct Running {
    reply: Reply,
    /// Of one that begins later.
    crew: Option<Crew>,
    /// Of a connection whose end may be that of the body: HTTP/2 has another.
    exchange: Option<Exchange>,
    /// Of a stream of HTTP/2.
    waits: Option<Waits>,
}

impl Drop for Running {
    fn drop(&mut self) {
        std::mem::take(&mut self.reply).discard();
        if let Some(exchange) = &self.exchange {
            // Of a connection that is killed, say: a part of the answer is unsent.
            if panicking() {
                exchange.cut();
            }
            exchange.done();
        }
    }
}

impl Running {
    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let kind = std::mem::replace(&mut self.reply.0, Kind::Ended);
        match kind {
            Kind::Ended => Poll::Ready(None),
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Kind::Later(write, announced) => {
                let crew = self.crew.take().expect("it begins once");
                let announced = announced.expect(ANNOUNCED);
                self.reply.0 = Kind::Running(begin(write, &crew, announced));
                self.poll_next(context)
            }
            Kind::Running(mut pieces) => {
                let polled = pieces.poll_next(context);
                self.reply.0 = Kind::Running(pieces);
                polled
            }
            #[cfg(feature = "tower")]
            Kind::Boxed(mut body, announced) => {
                let polled = catch_panic(|| Pin::new(&mut body).poll_frame(context));
                let polled = polled.unwrap_or_else(|payload| {
                    discard_panic(payload);
                    Poll::Ready(Some(Err("what makes it panicked".into())))
                });
                let mut announced = announced.expect(ANNOUNCED);
                let polled = polled.map(|next| announced.kept_to(next, || body.is_end_stream()));
                if !matches!(polled, Poll::Ready(Some(Err(_)))) {
                    self.reply.0 = Kind::Boxed(body, Some(announced));
                }
                polled
            }
        }
    }
}

#[cfg(feature = "tower")]
impl Announced {
    /// What comes next, if it keeps to what was announced.
    fn kept_to(
        &mut self,
        next: Option<Result<Frame<Bytes>, BoxError>>,
        is_last: impl FnOnce() -> bool,
    ) -> Option<Result<Frame<Bytes>, BoxError>> {
        let next = next.transpose().and_then(|frame| {
            let data = frame.as_ref().and_then(Frame::data_ref);
            match data {
                Some(data) => self.pass(data.len())?,
                None => self.end()?,
            }
            if data.is_some() && is_last() {
                self.end()?;
            }
            Ok(frame)
        });
        let named = &self.named;
        let told = |error: &_| log::warn!("{named}: a response was cut off: {}", one_line(error));
        next.inspect_err(told).transpose()
    }
}

fn begin(write: Writes, crew: &Crew, announced: Box<Announced>) -> Pieces {
    let (sender, receiver) = mpsc::channel(1);
    let whole = Arc::<AtomicBool>::default();
    let written_whole = whole.clone();
    let interest = crew.start_for("http body", move || {
        let named = announced.named.clone();
        let mut writer = Writer {
            announced,
            pending: BytesMut::new(),
            pieces: sender,
        };
        let written = catch_panic(|| {
            write(&mut writer)?;
            writer.flush()?;
            writer.announced.end()
        });
        match written.map_err(discard_panic) {
            Ok(Ok(())) => written_whole.store(true, Ordering::Release),
            Ok(Err(error)) => {
                log::warn!("{named}: a response was cut off: {}", one_line(error));
            }
            Err(()) => log::error!("{named}: a response was cut off: what writes it panicked"),
        }
    });
    Pieces {
        receiver,
        whole,
        _interest: interest,
    }
}

impl Body for Running {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut polled = self.poll_next(context);
        if let Poll::Ready(Some(Ok(frame))) = &mut polled
            && let Some(trailers) = frame.trailers_mut()
        {
            // hyper takes them out of heads alone, and h2 resets a stream that has one.
            OF_THE_CONNECTION.iter().for_each(|name| {
                trailers.remove(*name);
            });
        }
        if let Some(waits) = &mut self.waits {
            waits.set(matches!(polled, Poll::Ready(Some(Ok(_)))));
        }
        if let (Poll::Ready(Some(Err(_))), Some(exchange)) = (&polled, &self.exchange) {
            exchange.cut();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.reply.0 {
            Kind::Ended => true,
            Kind::Whole(bytes) => bytes.is_empty(),
            #[cfg(feature = "tower")]
            Kind::Boxed(body, _) => body.is_end_stream(),
            Kind::Later(..) | Kind::Running(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.reply.0 {
            Kind::Ended => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            #[cfg(feature = "tower")]
            Kind::Boxed(body, _) => body.size_hint(),
            Kind::Later(..) | Kind::Running(_) => SizeHint::default(),
        }
    }
}

/// What a handler may return.
///
/// ```
/// use green::http::{Body, Request, StatusCode};
///
/// fn make(request: Request<Body>) -> (StatusCode, String) {
///     (StatusCode::CREATED, format!("there is {} now", request.uri().path()))
/// }
/// # let listener = green::listen("127.0.0.1:0")?;
/// # let address = listener.local_addr()?;
/// # green::thread::spawn(|| green::http::serve(listener, make));
/// # use std::io::{Read, Write};
/// # let mut client = green::connect(address)?;
/// # client.write_all(b"POST /news HTTP/1.0\r\ncontent-length: 0\r\n\r\n")?;
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer)?;
/// # assert!(answer.starts_with("HTTP/1.0 201 ") && answer.ends_with("/news now"), "{answer}");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// With headers:
///
/// ```
/// use green::http::{HeaderName, IntoResponse, StatusCode, header};
///
/// fn made(number: u32) -> (StatusCode, [(HeaderName, String); 1], &'static str) {
///     let place = (header::LOCATION, format!("/notes/{number}"));
///     (StatusCode::CREATED, [place], "made")
/// }
/// let response = made(7).into_response();
/// assert_eq!(response.headers()[header::LOCATION], "/notes/7");
/// // What no header may have is 500.
/// let bad = (StatusCode::OK, [(header::LOCATION, "two\nlines")], "").into_response();
/// assert_eq!(bad.status(), StatusCode::INTERNAL_SERVER_ERROR);
/// assert!(bad.headers().get(header::LOCATION).is_none());
/// ```
///
/// A type of one's own is one by a method that gives the response:
///
/// ```
/// use green::http::{HeaderValue, IntoResponse, Reply, Response, header};
///
/// /// A type of one's own, for handlers to return.
/// struct Html(String);
///
/// impl IntoResponse for Html {
///     fn into_response(self) -> Response<Reply> {
///         let mut response = self.0.into_response();
///         let html = HeaderValue::from_static("text/html; charset=utf-8");
///         response.headers_mut().insert(header::CONTENT_TYPE, html);
///         response
///     }
/// }
///
/// let response = Html("<h1>hello</h1>".to_owned()).into_response();
/// assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
/// ```
#[diagnostic::on_unimplemented(
    message = "a handler of requests cannot return `{Self}`",
    label = "this is what the handler returns",
    note = "a handler returns text, bytes, a `StatusCode`, a `Response` of anything that a `Reply` is made from, a \
            `(StatusCode, _)` or `(StatusCode, [(HeaderName, value)], _)` with one of them, or a `Result` of one of them (an error is logged and answered with 500)"
)]
pub trait IntoResponse {
    /// The response.
    fn into_response(self) -> Response<Reply>;
}

impl<B: Into<Reply>> IntoResponse for Response<B> {
    fn into_response(self) -> Response<Reply> {
        self.map(Into::into)
    }
}

/// 200 with text.
impl IntoResponse for &'static str {
    fn into_response(self) -> Response<Reply> {
        text(self.into())
    }
}

/// 200 with text.
impl IntoResponse for String {
    fn into_response(self) -> Response<Reply> {
        text(self.into())
    }
}

/// 200 with bytes.
impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Response<Reply> {
        Response::new(self.into())
    }
}

/// Nothing but the status.
impl IntoResponse for StatusCode {
    fn into_response(self) -> Response<Reply> {
        let mut response = Response::new(Reply::empty());
        *response.status_mut() = self;
        response
    }
}

/// The other one, with this status.
impl<R: IntoResponse> IntoResponse for (StatusCode, R) {
    fn into_response(self) -> Response<Reply> {
        let mut response = self.1.into_response();
        *response.status_mut() = self.0;
        response
    }
}

/// The last one, with this status, and these headers in place of those of the same names. A value that no header may have
/// is logged and answered with 500.
impl<V, R, const N: usize> IntoResponse for (StatusCode, [(HeaderName, V); N], R)
where
    V: TryInto<HeaderValue>,
    V::Error: Into<BoxError>,
    R: IntoResponse,
{
    fn into_response(self) -> Response<Reply> {
        let (status, headers, rest) = self;
        let mut response = (status, rest).into_response();
        for (name, value) in headers {
            match value.try_into() {
                Ok(value) => drop(response.headers_mut().insert(name, value)),
                Err(error) => return Err::<StatusCode, _>(error).into_response(),
            }
        }
        response
    }
}

/// An error is logged and answered with 500, or with the status that says whose fault an error of the request's body
/// is: 408 where it did not come in time, 413 where it is too long, 400 where it ended early; or with that of a `NotJson`.
impl<R: IntoResponse, E: Into<BoxError>> IntoResponse for Result<R, E> {
    fn into_response(self) -> Response<Reply> {
        match self {
            Ok(response) => response.into_response(),
            Err(error) => {
                let error = error.into();
                let status = status_of(&*error);
                log::warn!("a request failed with {status}: {}", one_line(&error));
                status.into_response()
            }
        }
    }
}

fn text(reply: Reply) -> Response<Reply> {
    let mut response = Response::new(reply);
    let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, plain);
    response
}

fn status_of(error: &(dyn Error + 'static)) -> StatusCode {
    #[cfg(feature = "json")]
    if let Some(not_json) = error.downcast_ref::<super::not_json::NotJson>() {
        return not_json.status();
    }
    let causes = iter::successors(Some(error), |&error| error.source());
    match causes.filter_map(fault_of_the_body).next() {
        None => StatusCode::INTERNAL_SERVER_ERROR,
        Some(io::ErrorKind::TimedOut) => StatusCode::REQUEST_TIMEOUT,
        Some(io::ErrorKind::FileTooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
        Some(_) => StatusCode::BAD_REQUEST,
    }
}

/// Of which kind an error is if a request's body has failed with it.
fn fault_of_the_body(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    if error.is::<LengthLimitError>() {
        return Some(io::ErrorKind::FileTooLarge);
    }
    let error = error.downcast_ref::<io::Error>()?;
    error.get_ref()?.is::<Fault>().then(|| error.kind())
}
