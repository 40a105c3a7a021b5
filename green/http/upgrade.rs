//! Connections that go on with another protocol.

use std::fmt;
#[cfg(feature = "http-client")]
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use greenhub::future::block_on;
#[cfg(feature = "http-client")]
use greenhub::future::timeout;
use greenhub::one_line;
use http::Request;

use super::body::Body;
use super::rt::Crew;
use super::stream::Io;
use super::transport::Transport;
use crate::sync::Mutex;

#[cfg(all(test, feature = "http-client", feature = "tls"))]
mod tests;

/// A connection that has left HTTP: the stream, in blocking style.
///
/// With a second handle ([`try_clone`](Upgraded::try_clone)) one green thread can write while another one waits for the
/// peer. A write sends all of it before it returns, and the handles take turns. So each may have a `WebSocket` of its own,
/// although tungstenite answers pings while it reads. Each of these knows only of a close that it has itself sent or received.
///
/// A write fails with `TimedOut`, and the connection is cut, when the peer has taken nothing for as long as
/// [`Server::write_timeout`](super::Server::write_timeout) says. A read has no limit.
///
/// ```
/// use std::io::{BufRead, BufReader, Write};
///
/// use green::http::{Body, HeaderValue, IntoResponse, Request, Server};
/// use green::http::{StatusCode, Upgraded, header, upgrade};
///
/// /// A protocol of lines, each of which is answered by a louder one.
/// fn shout(stream: Upgraded) -> std::io::Result<()> {
///     let mut stream = BufReader::new(stream);
///     let mut line = String::new();
///     while stream.read_line(&mut line)? > 0 {
///         stream.get_mut().write_all(line.to_uppercase().as_bytes())?;
///         line.clear();
///     }
///     Ok(())
/// }
///
/// let server = Server::new(green::listen("127.0.0.1:0")?);
/// let mut client = green::connect(server.listener().local_addr()?)?;
/// green::thread::spawn(|| {
///     server.run(|mut request: Request<Body>| {
///         upgrade(&mut request, |stream| drop(shout(stream)));
///         let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
///         let headers = response.headers_mut();
///         headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
///         headers.insert(header::UPGRADE, HeaderValue::from_static("shout"));
///         response
///     })
/// });
/// client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: shout\r\n\r\nhello\n")?;
/// let answer = BufReader::new(client).lines().find(|line| !matches!(line, Ok(line) if line != "HELLO"));
/// assert_eq!(answer.unwrap()?, "HELLO");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Upgraded {
    stream: Box<dyn Duplex>,
    /// What came behind the request already.
    early: Bytes,
    /// Whoever writes has it, of all handles.
    writing: Arc<Mutex<()>>,
    /// How long the peer may take nothing. A write of the stream may give up before.
    limit: Option<Duration>,
}

trait Duplex: Read + Write + Send + Sync {
    fn another(&self) -> io::Result<Box<dyn Duplex>>;
    fn end(&self) -> io::Result<()>;
    #[cfg(feature = "http-client")]
    fn end_writing(&self, limit: Option<Duration>) -> io::Result<()>;
}

impl<T: Transport> Duplex for T {
    fn another(&self) -> io::Result<Box<dyn Duplex>> {
        Ok(Box::new(self.twin()?))
    }

    fn end(&self) -> io::Result<()> {
        self.socket().shutdown(Shutdown::Both)
    }

    #[cfg(feature = "http-client")]
    fn end_writing(&self, limit: Option<Duration>) -> io::Result<()> {
        let poller = self.poller();
        let ending = poll_fn(|context| self.poll_close(&poller, context));
        match limit {
            None => block_on(ending),
            // Over TLS it is something to send, for which there may be no room.
            Some(limit) => block_on(timeout(limit, ending)).unwrap_or_else(|_| Err(late(self))),
        }
    }
}

impl Upgraded {
    /// Another handle to this connection. Bytes that have already come after the request can be read only from the
    /// first one.
    ///
    /// # Errors
    ///
    /// Those of [`TcpStream::try_clone`](crate::net::TcpStream::try_clone).
    pub fn try_clone(&self) -> io::Result<Upgraded> {
        Ok(Upgraded {
            stream: self.stream.another()?,
            early: Bytes::new(),
            writing: self.writing.clone(),
            limit: self.limit,
        })
    }

    /// Ends the connection in both directions, even while others read or write it; over TLS without a close_notify.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if it has ended before.
    pub fn shutdown(&self) -> io::Result<()> {
        self.stream.end()
    }

    /// Ends our direction: the peer reads to the end. It is cut if it takes nothing, as by a write.
    #[cfg(feature = "http-client")]
    pub(super) fn end_writing(&self) -> io::Result<()> {
        self.stream.end_writing(self.limit)
    }
}

/// Takes the stream out of what hyper gives back.
pub(super) type Opens = fn(hyper::upgrade::Upgraded) -> io::Result<Upgraded>;

pub(super) fn open<T: Transport>(upgraded: hyper::upgrade::Upgraded) -> io::Result<Upgraded> {
    match upgraded.downcast::<Io<T>>() {
        Ok(parts) => {
            let limit = parts.io.write_limit();
            let (stream, held) = parts.io.into_blocking()?;
            let early = [&*parts.read_buf, &*held].concat();
            Ok(Upgraded {
                stream: Box::new(stream),
                early: early.into(),
                writing: Arc::default(),
                limit,
            })
        }
        Err(_) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a stream of HTTP/2 cannot leave HTTP",
        )),
    }
}

/// What a request carries to where it is upgraded.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) opens: Opens,
    pub(super) crew: Crew,
}

/// Calls `then` with the connection once the response to `request`, which must be a 101, has been sent, on a green
/// thread of its own. It counts as a connection of the server until `then` returns.
///
/// Over HTTP/2 nothing can be upgraded, and `then` is not called; nor is it if the response is not a 101.
///
/// ```
/// use std::io::{Read, Write};
///
/// use green::http::{self, Body, HeaderValue, IntoResponse, Reply, Request, Response};
/// use green::http::{StatusCode, header};
///
/// fn leave_http(mut request: Request<Body>) -> Response<Reply> {
///     http::upgrade(&mut request, |mut stream| drop(stream.write_all(b"plain bytes")));
///     let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
///     let headers = response.headers_mut();
///     headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
///     headers.insert(header::UPGRADE, HeaderValue::from_static("bytes"));
///     response
/// }
///
/// let listener = green::listen("127.0.0.1:0")?;
/// let mut client = green::connect(listener.local_addr()?)?;
/// green::thread::spawn(|| http::serve(listener, leave_http));
/// client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: bytes\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
/// assert!(answer.ends_with("plain bytes"), "{answer}");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn upgrade(request: &mut Request<Body>, then: impl FnOnce(Upgraded) + Send + 'static) {
    let upgraded = hyper::upgrade::on(&mut *request);
    if let Some(place) = request.extensions().get::<Place>().cloned() {
        place.crew.clone().start("http upgrade", move || {
            match block_on(upgraded)
                .map_err(io::Error::other)
                .and_then(place.opens)
            {
                Ok(upgraded) => then(upgraded),
                Err(error) => {
                    log::debug!("a connection was not upgraded: {}", one_line(error));
                }
            }
        });
    }
}

/// Answers a websocket's handshake, and calls `talk` with the socket once the answer has been sent, on a green thread of
/// its own. A request that is no such handshake gets 400, and one of another version than 13 gets 426 (RFC 6455, 4.4).
///
/// ```
/// use green::http::{self, Body, IntoResponse, Request};
/// use tungstenite::Message;
///
/// fn echo(request: Request<Body>) -> impl IntoResponse {
///     http::websocket(request, |mut socket| {
///         while let Ok(message @ (Message::Text(_) | Message::Binary(_))) = socket.read() {
///             if socket.send(message).is_err() {
///                 break;
///             }
///         }
///     })
/// }
///
/// let listener = green::listen("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// green::thread::spawn(|| http::serve(listener, echo));
/// let stream = green::connect(address)?;
/// let (mut socket, _) = tungstenite::client(format!("ws://{address}/"), stream).unwrap();
/// socket.send(Message::text("hello")).unwrap();
/// assert_eq!(socket.read().unwrap(), Message::text("hello"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[cfg(feature = "websocket")]
pub fn websocket(
    mut request: Request<Body>,
    talk: impl FnOnce(tungstenite::WebSocket<Upgraded>) + Send + 'static,
) -> http::Response<super::Reply> {
    use http::{HeaderValue, StatusCode, header};
    use tungstenite::error::{Error, ProtocolError};
    use tungstenite::handshake::server::create_response_with_body;
    use tungstenite::protocol::{Role, WebSocket};

    use super::reply::{IntoResponse, Reply};

    match create_response_with_body(&request, Reply::empty) {
        Ok(response) => {
            upgrade(&mut request, |stream| {
                talk(WebSocket::from_raw_socket(stream, Role::Server, None));
            });
            response
        }
        Err(error) => {
            log::debug!("no websocket: {}", one_line(&error));
            let versions = header::SEC_WEBSOCKET_VERSION;
            let asks_for_another = request.headers().contains_key(&versions)
                && matches!(
                    error,
                    Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader)
                );
            if !asks_for_another {
                return StatusCode::BAD_REQUEST.into_response();
            }
            let mut response = StatusCode::UPGRADE_REQUIRED.into_response();
            for (name, value) in [
                (versions, "13"),
                (header::UPGRADE, "websocket"),
                (header::CONNECTION, "upgrade"),
            ] {
                let value = HeaderValue::from_static(value);
                response.headers_mut().insert(name, value);
            }
            response
        }
    }
}

impl Read for Upgraded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.early.len().min(buf.len()) {
            0 => self.stream.read(buf),
            count => {
                self.early.copy_to_slice(&mut buf[..count]);
                Ok(count)
            }
        }
    }
}

impl Write for Upgraded {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // Who was cut short while it wrote has left half of something behind.
        let cut = |_| io::Error::new(io::ErrorKind::BrokenPipe, "a write before was cut short");
        let _writing = self.writing.lock().map_err(cut)?;
        match send(&mut *self.stream, self.limit, buf) {
            Ok(()) => Ok(buf.len()),
            Err(error) if crate::is_timeout(&error) => Err(late(&*self.stream)),
            Err(error) => Err(error),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Cuts the connection.
fn late(stream: &(impl Duplex + ?Sized)) -> io::Error {
    // It may have ended by itself.
    let _ = stream.end();
    io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")
}

/// Sends all of it, unless nothing is taken for as long as `limit` says.
fn send(stream: &mut dyn Duplex, limit: Option<Duration>, mut left: &[u8]) -> io::Result<()> {
    let mut taken = Instant::now();
    while !left.is_empty() {
        match stream.write(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                left = &left[count..];
                taken = Instant::now();
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock if limit.is_some_and(|limit| taken.elapsed() < limit) => {
                }
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("early", &self.early.len())
            .finish_non_exhaustive()
    }
}
