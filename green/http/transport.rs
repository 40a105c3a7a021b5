//! The streams that HTTP is spoken over, and which of its versions the peer speaks.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::greenio::GreenSocket;

use crate::aio::{PollRead, PollWrite};
use crate::net::TcpStream;
use crate::os::unix::net::UnixStream;
#[cfg(feature = "tls")]
use crate::ssl::GreenSslSocket;

/// What a client that speaks HTTP/2 without being asked begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Between two looks at a peer that has sent a part of it.
const LOOK: Duration = Duration::from_millis(5);

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
    /// Waits until it is known.
    #[doc(hidden)]
    fn protocol(&self, limit: Option<Duration>) -> io::Result<Protocol>;

    #[doc(hidden)]
    fn socket(&self) -> &GreenSocket;

    /// Another handle of it.
    #[doc(hidden)]
    fn twin(&self) -> io::Result<Self>
    where
        Self: Sized;
}

fn by_preface(socket: &GreenSocket, limit: Option<Duration>) -> io::Result<Protocol> {
    let deadline = Deadline::within(limit);
    let mut seen = [0; PREFACE.len()];
    loop {
        if !socket
            .source()
            .wait(crate::source::Direction::Read, deadline)?
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let count = socket.peek(&mut seen)?;
        if !PREFACE.starts_with(&seen[..count]) || count == 0 {
            return Ok(Protocol::Http1);
        }
        if count == PREFACE.len() {
            return Ok(Protocol::Http2);
        }
        if deadline.has_passed() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        crate::thread::sleep(LOOK);
    }
}

impl Transport for TcpStream {
    fn protocol(&self, limit: Option<Duration>) -> io::Result<Protocol> {
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
    fn protocol(&self, limit: Option<Duration>) -> io::Result<Protocol> {
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
    fn protocol(&self, limit: Option<Duration>) -> io::Result<Protocol> {
        let _ = self.get_ref().set_nodelay(true);
        self.set_handshake_timeout(limit)?;
        self.do_handshake()?;
        Ok(match self.negotiated_alpn()?.as_deref() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        })
    }

    fn socket(&self) -> &GreenSocket {
        self.get_ref()
    }

    fn twin(&self) -> io::Result<Self> {
        self.try_clone()
    }
}

/// Whose connection it is, if it has a name.
pub(super) fn peer(stream: &impl Transport) -> Option<SocketAddr> {
    stream.socket().peer_addr().ok()?.as_socket()
}
