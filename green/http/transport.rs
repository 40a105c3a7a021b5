//! The streams that HTTP is spoken over, and which of its versions the peer speaks.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::greenio::GreenSocket;

use crate::aio::{PollRead, PollWrite};
use crate::net::TcpStream;
use crate::os::unix::net::UnixStream;
#[cfg(feature = "tls")]
use crate::ssl::GreenSslSocket;
use crate::thread::panicking;

/// What a client that speaks HTTP/2 without being asked begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// A stream that HTTP is served over.
///
/// ```
/// use std::io;
///
/// use green::convenience::Accept;
/// use green::http::{Body, Request, Server, Transport};
///
/// /// By TCP, by a Unix socket, or by TLS over one of them.
/// fn greet<L>(listener: L) -> io::Result<()>
/// where
///     L: Accept,
///     L::Stream: Transport,
/// {
///     let server = Server::new(listener);
///     # server.stop_handle().stop();
///     server.run(|_: Request<Body>| "hello").map(drop)
/// }
///
/// greet(green::listen("127.0.0.1:0")?)?;
/// # Ok::<(), io::Error>(())
/// ```
pub trait Transport:
    PollRead + PollWrite + Read + Write + fmt::Debug + Unpin + Send + Sync + 'static
{
    /// Waits until it is known, and says what was read of the peer's bytes for it.
    #[doc(hidden)]
    fn protocol(&self, limit: Option<Duration>) -> io::Result<(Protocol, &'static [u8])>;

    #[doc(hidden)]
    fn socket(&self) -> &GreenSocket;

    /// Whether bytes that no event of the socket tells of wait to be read.
    #[doc(hidden)]
    fn holds_input(&self) -> bool {
        false
    }

    /// Whether it goes on after a write that was late.
    #[doc(hidden)]
    fn goes_on(&self) -> bool {
        true
    }

    /// Another handle of it.
    #[doc(hidden)]
    fn twin(&self) -> io::Result<Self>
    where
        Self: Sized;
}

/// Looks, and takes nothing but a part of the preface: a look would show it again and again, and never the peer's end
/// behind it. So what is taken needs no memory of its own.
fn by_preface(
    socket: &GreenSocket,
    limit: Option<Duration>,
) -> io::Result<(Protocol, &'static [u8])> {
    let deadline = Deadline::within(limit);
    let mut seen = [0; PREFACE.len()];
    let mut taken = 0;
    loop {
        if !socket
            .source()
            .wait(crate::source::Direction::Read, deadline)?
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let (before, rest) = PREFACE.split_at(taken);
        let count = socket.peek(&mut seen[..rest.len()])?;
        if !rest.starts_with(&seen[..count]) || count == 0 {
            return Ok((Protocol::Http1, before));
        }
        if count == rest.len() {
            return Ok((Protocol::Http2, before));
        }
        taken += socket.recv(&mut seen[..count])?;
    }
}

impl Transport for TcpStream {
    fn protocol(&self, limit: Option<Duration>) -> io::Result<(Protocol, &'static [u8])> {
        // An answer is one write, or several that wait for each other.
        let _ = self.set_nodelay(true);
        by_preface(self.as_green_socket(), limit)
    }

    fn socket(&self) -> &GreenSocket {
        self.as_green_socket()
    }

    fn twin(&self) -> io::Result<Self> {
        self.try_clone()
    }
}

impl Transport for UnixStream {
    fn protocol(&self, limit: Option<Duration>) -> io::Result<(Protocol, &'static [u8])> {
        by_preface(self.as_green_socket(), limit)
    }

    fn socket(&self) -> &GreenSocket {
        self.as_green_socket()
    }

    fn twin(&self) -> io::Result<Self> {
        self.try_clone()
    }
}

/// By ALPN.
#[cfg(feature = "tls")]
impl Transport for GreenSslSocket {
    fn protocol(&self, limit: Option<Duration>) -> io::Result<(Protocol, &'static [u8])> {
        let _ = self.get_ref().set_nodelay(true);
        self.set_handshake_timeout(limit)?;
        self.do_handshake()?;
        let protocol = match self.negotiated_alpn()?.as_deref() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((protocol, &[]))
    }

    fn socket(&self) -> &GreenSocket {
        self.get_ref()
    }

    fn holds_input(&self) -> bool {
        GreenSslSocket::holds_input(self)
    }

    /// Half a record may have left.
    fn goes_on(&self) -> bool {
        false
    }

    fn twin(&self) -> io::Result<Self> {
        self.try_clone()
    }
}

/// Cuts a connection off: by a reset, for in HTTP/1.0 a peer takes a mere end, or TLS's close_notify, for that of the
/// answer.
#[derive(Clone, Debug)]
pub(super) struct Cut(Arc<GreenSocket>);

impl Cut {
    pub(super) fn of(stream: &impl Transport) -> io::Result<Cut> {
        Ok(Cut(Arc::new(stream.socket().try_clone()?)))
    }

    pub(super) fn now(&self) {
        let _ = self.0.set_linger(Some(Duration::ZERO));
        self.0.close();
    }
}

/// Does so when it is dropped by an unwind, of a connection that is killed, say, while a part of an answer is unsent.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) cut: Cut,
    pub(super) unsent: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.unsent && panicking() {
            self.cut.now();
        }
    }
}

/// Whose connection it is, if it has a name.
pub(super) fn peer(stream: &impl Transport) -> Option<SocketAddr> {
    stream.socket().peer_addr().ok()?.as_socket()
}
