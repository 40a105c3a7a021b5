//! HTTP in blocking style: a server whose handlers are functions.
//!
//! Needs the feature `http`: `green = { package = "green-std", version = "0.1", features = ["http"] }`.
//!
//! [`serve`] answers HTTP/1.1 and HTTP/2, in the clear and with TLS; a connection that is idle costs no stack.
//! [`Server`] has the settings. hyper speaks the protocol. Requests and responses are those of the crate `http`; a
//! request's [`Body`] is a [`Read`](std::io::Read), a response's is text, bytes, or a [`Reply`] that is read or written
//! while the peer takes it.
//!
//! ```
//! use std::io::{self, Write};
//!
//! use green::http::{self, Body, IntoResponse, Reply, Request, Response, StatusCode};
//!
//! fn answer(request: Request<Body>) -> io::Result<Response<Reply>> {
//!     Ok(match request.uri().path() {
//!         "/" => "hello".into_response(),
//!         "/echo" => Response::new(Reply::reader(request.into_body())),
//!         "/count" => Response::new(Reply::written(|out| {
//!             (0..100_000).try_for_each(|n| writeln!(out, "{n}"))
//!         })),
//!         _ => StatusCode::NOT_FOUND.into_response(),
//!     })
//! }
//!
//! # fn main() -> io::Result<()> {
//! let listener = green::listen("127.0.0.1:0")?;
//! # let address = listener.local_addr()?;
//! # green::thread::spawn(|| -> io::Result<()> {
//! http::serve(listener, answer)?;
//! # Ok(()) });
//! # use std::io::Read;
//! # let mut client = green::connect(address)?;
//! # client.write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4\r\n\r\necho")?;
//! # let mut answer = String::new();
//! # client.read_to_string(&mut answer)?;
//! # assert!(answer.contains("echo"), "{answer}");
//! # Ok(())
//! # }
//! ```
//!
//! # When a handler runs, and where
//!
//! A request of HTTP/1 without a body, or with one of up to 16 KiB, which is received first, is handled on its
//! connection's own green thread, a [spawned future](crate::future::spawn) that has a stack only while it is at work. One
//! with a longer body, and each request of HTTP/2, is handled on a green thread of its
//! own, while the connection's receives the body. So a handler may read, write and wait as it likes, and never
//! waits for itself.
//!
//! A request of HTTP/1 that two servers could understand differently never reaches a handler: without exactly one
//! `Host` that is a valid host, and a target that its method can have, it is answered with 400, and with a transfer coding other than chunked with 501. A body
//! in chunks fails where a line of it ends in a bare line feed, or has a control character, see [`Body`]. A version
//! above HTTP/1.1, such as HTTP/1.2, is taken as HTTP/1.1; HTTP/2.0 in the words of HTTP/1, or HTTP/0.9, is answered with 505.
//!
//! A response that no peer could understand is not sent: 500 is, and an error in the log says what was wrong with it. Such are
//! one of a status below 200, save a 101 that was asked for, and one whose `Content-Length` is no number, is there twice
//! or beside a `Transfer-Encoding`, or is not the body's, and one that leaves HTTP (101, or 2xx to a `CONNECT`) and has a body. Where a body that comes bit by bit turns out shorter or longer than its
//! `Content-Length`, it is cut off, as [`Reply::written`] says. The version of a response does not matter.
//!
//! Waits for the peer have time limits, see [`Server`]; the handler itself has none: use [`timeout`](crate::timeout()).
//!
//! # More
//!
//! With the feature `http-client` there are `get` and `agent`, ureq over green sockets, and `ReverseProxy`, which passes requests on. A handler's `Err` is logged and answered with 500. With the feature `tower` the same call serves axum's `Router` and any
//! other service of tower, as a `Tower`; with `websocket` a handler turns its connection into a websocket; with `json` there is `Json`, a value that a handler returns
//! or a request brings.
//!
//! Routes, JSON, state, middleware, TLS, clients (HTTP/2 too), tests: the guide's page *From Flask, net/http or axum* has an example of each, beside those three
//! (`guide::web`, where these features are all on).

use std::io;

mod announced;
mod body;
#[cfg(feature = "http-client")]
mod client;
mod counters;
mod forwarded;
mod framing;
mod handler;
mod head;
mod http1;
mod http2;
#[cfg(feature = "json")]
mod json;
mod lent;
mod named;
#[cfg(feature = "json")]
mod not_json;
mod pace;
#[cfg(feature = "http-client")]
mod proxy;
mod reply;
mod rt;
mod same;
mod server;
mod stream;
#[cfg(feature = "tower")]
mod tower;
mod transport;
mod upgrade;
mod waits;

pub use self::body::Body;
#[cfg(feature = "http-client")]
pub use self::client::{agent, get};
pub use self::counters::Counters;
pub use self::forwarded::forwarded_for;
pub use self::handler::{Handler, Peer};
#[cfg(feature = "json")]
pub use self::json::Json;
#[cfg(feature = "json")]
pub use self::not_json::NotJson;
#[cfg(feature = "http-client")]
pub use self::proxy::ReverseProxy;
pub use self::reply::{IntoResponse, Reply, Writer};
pub use self::rt::{GreenExecutor, GreenTimer};
pub use self::server::{Server, StopHandle};
#[cfg(feature = "tower")]
pub use self::tower::Tower;
pub use self::transport::Transport;
#[cfg(feature = "websocket")]
pub use self::upgrade::websocket;
pub use self::upgrade::{Upgraded, upgrade};
#[cfg(feature = "http-client")]
pub use ::ureq;

#[doc(no_inline)]
pub use ::http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    Version, header, request, response,
};

use crate::convenience::Accept;

/// What a TLS server offers by ALPN, the preferred one first: for
/// [`set_alpn_protocols`](crate::ssl::SslContext::set_alpn_protocols).
#[cfg(feature = "tls")]
pub const ALPN: [&str; 2] = ["h2", "http/1.1"];

/// Answers the requests that come to `listener` by `handler`, for ever. A [`Server`] has settings, and can be stopped.
///
/// # Errors
///
/// As those of [`Server::run`].
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// use green::http::{self, Body, Request};
/// use green::os::unix::net::UnixStream;
///
/// # let path = std::env::temp_dir().join(format!("green-http-serve-{}", std::process::id()));
/// let listener = green::os::unix::net::UnixListener::bind(&path)?;
/// green::thread::spawn(|| {
///     http::serve(listener, |request: Request<Body>| request.uri().path().to_owned())
/// });
/// let mut client = UnixStream::connect(&path)?;
/// client.write_all(b"GET /news HTTP/1.0\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("/news"), "{answer}");
/// # std::fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn serve<L>(listener: L, handler: impl Handler) -> io::Result<()>
where
    L: Accept,
    L::Stream: Transport,
{
    Server::new(listener).run(handler).map(drop)
}
