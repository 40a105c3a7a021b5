//! How a TLS connection is ended from this side: one direction, both, or TLS alone.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::greenio::GreenSocket;
use greenhub::source::Direction;

use super::GreenSslSocket;
use crate::tls::ssl::end::is_departure;

/// What [`GreenSslSocket::unwrap`] gives back.
///
/// ```
/// use std::io::{Read, Write};
/// use std::time::Duration;
///
/// use green::os::unix::net::UnixStream;
/// use green::ssl::{Purpose, SslContext, Unwrapped, VerifyLocation};
///
/// # fn main() -> std::io::Result<()> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let server = SslContext::create_default_context(Purpose::ClientAuth)?;
/// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
/// # let client = SslContext::new(Purpose::ServerAuth)?;
/// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
/// let (near, far) = UnixStream::pair()?;
/// let served = green::thread::spawn(move || -> std::io::Result<()> {
///     let tls = server.accept(far)?;
///     tls.do_handshake()?;
///     let mut socket = tls.unwrap(Some(Duration::from_secs(5)))?.socket;
///     socket.write_all(b"in the clear")
/// });
/// let tls = client.connect(near, "localhost")?;
/// let Unwrapped { socket, unread, .. } = tls.unwrap(Some(Duration::from_secs(5)))?;
/// let mut text = String::new();
/// unread.as_slice().chain(&socket).read_to_string(&mut text)?;
/// assert_eq!(text, "in the clear");
/// # served.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Unwrapped {
    /// The connection, in the clear from now on.
    pub socket: GreenSocket,
    /// What came after the peer's close_notify: it was received already, and comes before what `socket` reads.
    pub unread: Vec<u8>,
    /// Whether the peer sent its close_notify; if not, it ended or reset the connection instead.
    pub peer_closed_cleanly: bool,
}

impl GreenSslSocket {
    /// Sends close_notify, after which nothing can be written; reading goes on. If the socket is full it waits,
    /// under the [write timeout](Self::set_write_timeout).
    ///
    /// The connection itself stays open in both directions. Many TLS peers end their side too when they receive
    /// close_notify, so do not count on an answer.
    ///
    /// # Errors
    ///
    /// `NotConnected` before the handshake; those of a write.
    pub fn shutdown_write(&self) -> io::Result<()> {
        let deadline = self.deadline(Direction::Write)?;
        self.unless_closed(self.shared.duplex.shutdown(deadline))
    }

    /// Ends TLS in both directions and gives the connection back, in the clear.
    ///
    /// Sends close_notify and waits for the peer's until `limit` passes; `None` is for ever. If the peer may still be
    /// sending, read to the end first.
    ///
    /// # Errors
    ///
    /// `ResourceBusy` if clones of this handle live; `InvalidData` if the peer sends data instead of its close_notify;
    /// `TimedOut`. The connection is closed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::time::Duration;
    ///
    /// use green::os::unix::net::UnixStream;
    /// use green::ssl::{Purpose, SslContext, VerifyLocation};
    /// use green::thread;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # let server = SslContext::create_default_context(Purpose::ClientAuth)?;
    /// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
    /// # let client = SslContext::new(Purpose::ServerAuth)?;
    /// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
    /// let limit = Some(Duration::from_secs(10));
    /// let (near, far) = UnixStream::pair()?;
    /// let served = thread::spawn(move || -> std::io::Result<()> {
    ///     let mut tls = server.accept(far)?;
    ///     // Down to the client's close_notify.
    ///     let mut secret = String::new();
    ///     tls.read_to_string(&mut secret)?;
    ///     assert_eq!(secret, "in private");
    ///     let plain = tls.unwrap(limit)?;
    ///     (&plain.socket).write_all(b"in the clear")
    /// });
    ///
    /// let mut tls = client.connect(near, "localhost")?;
    /// tls.write_all(b"in private")?;
    /// let plain = tls.unwrap(limit)?;
    /// assert!(plain.peer_closed_cleanly);
    /// // What came behind the peer's close_notify goes before what comes next.
    /// let mut clear = plain.unread;
    /// (&plain.socket).read_to_end(&mut clear)?;
    /// assert_eq!(clear, b"in the clear");
    /// # served.join().unwrap()
    /// # }
    /// ```
    pub fn unwrap(self, limit: Option<Duration>) -> io::Result<Unwrapped> {
        let shared = self.shared.clone();
        drop(self);
        let shared = Arc::try_unwrap(shared).map_err(|_| {
            io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another handle of this TLS connection lives",
            )
        })?;
        let deadline = Deadline::within(limit);
        match shared.duplex.shutdown(deadline) {
            // That the peer cannot be told is told by how it left.
            Err(error) if !is_departure(&error) => return Err(error),
            _ => {}
        }
        let cleanly = match shared.duplex.read(&mut [0; 64], deadline) {
            Ok(0) => true,
            Ok(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the peer sends data where its close_notify should be",
                ));
            }
            Err(error) if is_departure(&error) => false,
            Err(error) => return Err(error),
        };
        let unread = if cleanly {
            shared.duplex.pipe.lock().take_unread()?
        } else {
            Vec::new()
        };
        shared.given_back.store(true, Ordering::Relaxed);
        Ok(Unwrapped {
            socket: shared.duplex.socket.try_clone()?,
            unread,
            peer_closed_cleanly: cleanly,
        })
    }

    /// Closes the connection for every handle, now: whoever waits on it gets [`ClosedLocally`](crate::ClosedLocally).
    ///
    /// One attempt is made to send close_notify; that never waits. If the peer reads slowly, the socket may be full
    /// then, and the peer sees an end without close_notify: where that matters, first call
    /// [`shutdown_write`](Self::shutdown_write), which waits under the write timeout. Dropping the last handle does the
    /// same, but does not linger: see [`GreenSocket::close`].
    ///
    /// The peer must not take half an answer for a whole one. So there is no close_notify while the thread unwinds, by a
    /// panic, a kill or a time limit; none on a connection that has failed, by an error or by a write that was cut short;
    /// and a socket whose linger time is zero is reset. A drop does not send it either if the peer has ended without
    /// its own, or if another handle was dropped by such an unwind before.
    ///
    /// Everything else is an end in order, with close_notify. That includes a return by `?` after a read timed out or
    /// another connection failed, a future that `green::future::timeout` gives up, and a thread-local that held the
    /// stream: its thread unwinds no more when it is dropped. If the peer would be left with half of something, first
    /// close the [socket below](Self::get_ref), which sends none: `tls.get_ref().close()`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Read;
    ///
    /// use green::os::unix::net::UnixStream;
    /// use green::ssl::{Purpose, SslContext};
    /// use green::{ClosedLocally, thread};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let context = SslContext::create_default_context(Purpose::ServerAuth)?;
    /// let (near, _far) = UnixStream::pair()?;
    /// let tls = context.wrap_socket(near, Some("example.org"))?;
    /// let waiting = tls.try_clone()?;
    /// let reader = thread::spawn(move || (&waiting).read(&mut [0; 16]));
    ///
    /// tls.close();
    /// let error = reader.join().unwrap().unwrap_err();
    /// assert!(ClosedLocally::caused(&error));
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self) {
        if !self.shared.closing.swap(true, Ordering::SeqCst) {
            // Who asks for the end has said all, whether or not the peer has.
            self.shared.duplex.part(true, true);
            self.get_ref().close();
        }
    }

    /// Shuts the connection below TLS down, as `TcpStream::shutdown` does; for `Write` and `Both`, one attempt is made
    /// to send close_notify first. For `Read` and `Both`, a read that waits and every later one ends with `Ok(0)`, unless
    /// the peer had ended before.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2).
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Write {
            self.shared.duplex.pipe.lock().shut_for_reading();
        }
        if how != Shutdown::Read {
            let _ = self.shared.duplex.shutdown(Deadline::NOW);
        }
        self.get_ref().shutdown(how)
    }
}
