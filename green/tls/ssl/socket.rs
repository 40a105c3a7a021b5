//! A TLS connection that looks blocking: an [`SslPipe`] around a [`GreenSocket`].

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use greenhub::ClosedLocally;
use greenhub::Deadline;
use greenhub::green_thread::panicking;
use greenhub::greenio::GreenSocket;
use greenhub::source::Direction;
use greenhub::wait_queue::{ShortLock, give_way};

use super::duplex::{self, Duplex};
use super::pipe::SslPipe;

pub use self::closing::Unwrapped;
pub use self::halves::{ReadHalf, WriteHalf};

mod agreed;
mod closing;
mod halves;
#[cfg(feature = "async")]
mod poll;
#[cfg(test)]
mod tests;

/// How long a handshake may take unless [`GreenSslSocket::set_handshake_timeout`] says otherwise.
pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// A TLS connection in blocking style, for green threads and OS threads.
///
/// Made by [`SslContext::wrap_socket`](super::SslContext::wrap_socket). It reads and writes through `&self`: one green
/// thread may read while another writes, and clones share the connection.
///
/// # The handshake
///
/// Unless it was done when the socket was wrapped, the first read or write does it, or
/// [`do_handshake`](Self::do_handshake). One deadline covers the whole of it, 30 seconds by default, so a peer that
/// sends a byte at a time cannot prolong it.
///
/// # When the peer goes away
///
/// No call hangs because of what the peer did. What was received before is delivered first; then comes the end, and it
/// stays the same for every later call:
///
/// | the peer | `read` | `write` |
/// |---|---|---|
/// | sent close_notify | `Ok(0)` | still works |
/// | ended without it (FIN alone) | `UnexpectedEof`, or `Ok(0)` under [`set_suppress_ragged_eofs`](Self::set_suppress_ragged_eofs) | still works until the kernel returns an error |
/// | reset the connection | `ConnectionReset` | `ConnectionReset` or `BrokenPipe` |
/// | sent a fatal alert, or what is not TLS | `InvalidData` with the [cause](super::SslError) | the same |
/// | fell silent | `TimedOut` with a [timeout](Self::set_read_timeout), otherwise it waits, since nothing has happened | the same |
///
/// A close by a thread of this process ends every wait with [`ClosedLocally`].
///
/// # Time limits
///
/// A timeout covers a call as a whole and is reported as `TimedOut`. A read that timed out may be repeated. After a
/// write that timed out with a part of it sent, nobody knows how much the peer has, so later writes fail with
/// `TimedOut` too.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// use green::net::{TcpListener, TcpStream};
/// use green::ssl::{Purpose, SslContext, VerifyLocation};
/// use green::thread;
///
/// # fn main() -> std::io::Result<()> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let server = SslContext::create_default_context(Purpose::ClientAuth)?;
/// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// # let address = listener.local_addr()?;
/// # let listener = server.wrap_listener(listener);
/// # thread::spawn(move || {
/// #     let (mut tls, _) = listener.accept().unwrap();
/// #     let mut text = String::new();
/// #     tls.read_to_string(&mut text).unwrap();
/// #     tls.write_all(text.to_uppercase().as_bytes()).unwrap();
/// #     tls.shutdown_write().unwrap();
/// # });
/// let client = SslContext::new(Purpose::ServerAuth)?;
/// client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
/// let tls = client.connect(TcpStream::connect(address)?, "localhost")?;
///
/// // One green thread writes while another reads.
/// let (mut reader, mut writer) = tls.split();
/// let writing = thread::spawn(move || {
///     writer.write_all(b"a long question")?;
///     // That was all; the answer still comes.
///     writer.get_ref().shutdown_write()
/// });
/// let mut answer = String::new();
/// reader.read_to_string(&mut answer)?;
/// assert_eq!(answer, "A LONG QUESTION");
/// assert!(reader.get_ref().peer_closed_cleanly());
/// writing.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
pub struct GreenSslSocket {
    shared: Arc<Shared>,
}

struct Shared {
    duplex: Duplex,
    handshake_timeout: ShortLock<Option<Duration>>,
    suppress_ragged_eofs: AtomicBool,
    /// Set when the socket has been given back: it is no longer ours to end.
    given_back: AtomicBool,
    /// Set when `close` begins: then a read ends because of that, not because of the peer's answer to it.
    closing: AtomicBool,
    /// Set when an unwind has dropped a handle: who held it may have had more to say.
    deserted: AtomicBool,
}

// As for the socket inside: a panic leaves no state half-changed that a later call would believe.
impl UnwindSafe for GreenSslSocket {}
impl RefUnwindSafe for GreenSslSocket {}

impl Drop for GreenSslSocket {
    fn drop(&mut self) {
        if panicking() {
            self.shared.deserted.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !self.given_back.load(Ordering::Relaxed) && !self.duplex.socket.is_closed() {
            let whole = !self.deserted.load(Ordering::Relaxed);
            let ragged = self.suppress_ragged_eofs.load(Ordering::Relaxed);
            self.duplex.part(whole, ragged);
        }
    }
}

impl GreenSslSocket {
    /// Runs `pipe` over `socket`. [`SslContext::wrap_socket`](super::SslContext::wrap_socket) is the usual way.
    pub fn from_pipe(socket: impl Into<GreenSocket>, pipe: SslPipe) -> GreenSslSocket {
        GreenSslSocket {
            shared: Arc::new(Shared {
                duplex: Duplex::new(socket.into(), pipe),
                handshake_timeout: ShortLock::new(Some(DEFAULT_HANDSHAKE_TIMEOUT)),
                suppress_ragged_eofs: AtomicBool::new(false),
                given_back: AtomicBool::new(false),
                closing: AtomicBool::new(false),
                deserted: AtomicBool::new(false),
            }),
        }
    }

    /// Does the handshake, if it is not done yet. Waits for the peer: a green thread parks, an OS thread blocks, until
    /// the [limit](Self::set_handshake_timeout) passes.
    ///
    /// # Errors
    ///
    /// `InvalidData` with an [`SslError`](super::SslError) that names the cause when the two ends cannot agree;
    /// `UnexpectedEof` or `ConnectionReset` when the peer goes; `TimedOut` when the limit passes; `WouldBlock` in
    /// non-blocking mode.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    ///
    /// use green::os::unix::net::UnixStream;
    /// use green::ssl::{Purpose, SslContext};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let context = SslContext::create_default_context(Purpose::ServerAuth)?;
    /// let (near, _silent) = UnixStream::pair()?;
    /// let tls = context.wrap_socket(near, Some("example.org"))?;
    /// tls.set_handshake_timeout(Some(Duration::from_millis(20)))?;
    /// assert_eq!(tls.do_handshake().unwrap_err().kind(), ErrorKind::TimedOut);
    /// # Ok(())
    /// # }
    /// ```
    pub fn do_handshake(&self) -> io::Result<()> {
        self.handshake_until(match self.get_ref().nonblocking() {
            true => Deadline::NOW,
            false => Deadline::NEVER,
        })
    }

    /// The handshake as a part of a call that has this deadline.
    fn handshake_until(&self, deadline: Deadline) -> io::Result<()> {
        if self.shared.duplex.is_handshaken() {
            return Ok(());
        }
        let limit = *self.shared.handshake_timeout.lock();
        let deadline = deadline.min(Deadline::within(limit));
        self.unless_closed(self.shared.duplex.handshake(deadline))
    }

    /// Another handle to this connection.
    ///
    /// # Errors
    /// None; the `Result` is there because std's has one.
    pub fn try_clone(&self) -> io::Result<GreenSslSocket> {
        Ok(GreenSslSocket {
            shared: self.shared.clone(),
        })
    }

    /// The socket underneath: addresses, options. What it reads and writes is ciphertext.
    pub fn get_ref(&self) -> &GreenSocket {
        &self.shared.duplex.socket
    }

    /// Limits how long a read may take as a whole; `None` is for ever. Shared by all handles.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.get_ref().set_read_timeout(limit)
    }

    /// Limits how long a write may take as a whole; `None` is for ever. Shared by all handles.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for zero.
    pub fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.get_ref().set_write_timeout(limit)
    }

    /// The limit of a read.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.get_ref().read_timeout()
    }

    /// The limit of a write.
    pub fn write_timeout(&self) -> Option<Duration> {
        self.get_ref().write_timeout()
    }

    /// Limits how long the handshake may take as a whole; `None` is for ever. 30 seconds by default.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for zero.
    pub fn set_handshake_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        if limit.is_some_and(|limit| limit.is_zero()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "cannot set a 0 duration timeout",
            ));
        }
        *self.shared.handshake_timeout.lock() = limit;
        Ok(())
    }

    /// Whether calls return `WouldBlock` instead of waiting.
    pub fn set_nonblocking(&self, nonblocking: bool) {
        self.get_ref().set_nonblocking(nonblocking);
    }

    /// Whether an end without close_notify reads as `Ok(0)` rather than `UnexpectedEof`; off by default, since a
    /// truncated stream then looks like a whole one. [`peer_closed_cleanly`](Self::peer_closed_cleanly) tells the two apart.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{ErrorKind, Read};
    /// use std::net::Shutdown;
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
    /// let (near, far) = UnixStream::pair()?;
    /// let served = thread::spawn(move || -> std::io::Result<()> {
    ///     let tls = server.accept(far)?;
    ///     tls.do_handshake()?;
    ///     // The connection is cut below TLS, whatever may have been on its way.
    ///     tls.get_ref().shutdown(Shutdown::Write)?;
    ///     let _ = (&tls).read(&mut [0; 16]);
    ///     Ok(())
    /// });
    ///
    /// let tls = client.connect(near, "localhost")?;
    /// let error = (&tls).read(&mut [0; 16]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    /// tls.set_suppress_ragged_eofs(true);
    /// assert_eq!((&tls).read(&mut [0; 16])?, 0);
    /// assert!(!tls.peer_closed_cleanly());
    /// # drop(tls);
    /// # served.join().unwrap()
    /// # }
    /// ```
    pub fn set_suppress_ragged_eofs(&self, suppress: bool) {
        self.shared
            .suppress_ragged_eofs
            .store(suppress, Ordering::Relaxed);
    }

    /// Whether the peer has sent its close_notify, and a read has met it.
    pub fn peer_closed_cleanly(&self) -> bool {
        self.pipe(SslPipe::peer_closed_cleanly)
    }

    /// How many decrypted bytes can be read without asking the socket.
    pub fn pending(&self) -> usize {
        self.pipe(SslPipe::pending)
    }

    /// Whether this is the server's end.
    pub fn server_side(&self) -> bool {
        self.pipe(SslPipe::server_side)
    }

    fn pipe<T>(&self, ask: impl FnOnce(&SslPipe) -> T) -> T {
        ask(&self.shared.duplex.pipe.lock())
    }

    fn is_closed(&self) -> bool {
        self.shared.closing.load(Ordering::SeqCst) || self.get_ref().is_closed()
    }

    /// As an error if it was closed here; others run first, since the caller may do the same again.
    fn check_open(&self) -> io::Result<()> {
        match self.is_closed() {
            true => {
                give_way();
                Err(ClosedLocally.into())
            }
            false => Ok(()),
        }
    }

    /// What a call returns: once the connection was closed here, no failure has another cause.
    fn unless_closed<T>(&self, result: io::Result<T>) -> io::Result<T> {
        match result {
            Err(_) if self.is_closed() => Err(ClosedLocally.into()),
            result => result,
        }
    }

    /// What a read returns.
    fn answer(&self, read: io::Result<usize>) -> io::Result<usize> {
        match self.unless_closed(read) {
            Ok(0) if self.is_closed() => Err(ClosedLocally.into()),
            Err(error)
                if error.kind() == io::ErrorKind::UnexpectedEof
                    && self.shared.suppress_ragged_eofs.load(Ordering::Relaxed) =>
            {
                Ok(0)
            }
            result => result,
        }
    }

    fn deadline(&self, direction: Direction) -> io::Result<Deadline> {
        duplex::deadline(self.get_ref(), direction)
    }
}

/// What the transports of asyncio are made of.
#[cfg(feature = "asyncio")]
impl GreenSslSocket {
    /// A read of a connection that has shaken hands, which ends with `Interrupted` once `stop` is set: whoever sets it
    /// nudges the source.
    pub(crate) fn read_unless(&self, buf: &mut [u8], stop: &AtomicBool) -> io::Result<usize> {
        let deadline = self.deadline(Direction::Read)?;
        self.answer(self.shared.duplex.read_unless(buf, deadline, stop))
    }

    /// A write of a connection that has shaken hands, which does not wait. It may leave ciphertext
    /// [unsent](Self::unsent) of the bytes that it counts.
    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.unless_closed(self.shared.duplex.write(buf, Deadline::NOW))
    }

    /// How many bytes of ciphertext have not left yet. A flush sends them.
    pub(crate) fn unsent(&self) -> usize {
        self.pipe(SslPipe::outgoing)
    }
}

impl Read for &GreenSslSocket {
    /// Reads decrypted bytes, at most one record at a time. The table of [`GreenSslSocket`] has the ends.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.check_open()?;
        let deadline = self.deadline(Direction::Read)?;
        self.handshake_until(deadline)?;
        // Not behind another reader, who may wait for long.
        if buf.is_empty() {
            return Ok(0);
        }
        self.answer(self.shared.duplex.read(buf, deadline))
    }
}

impl Write for &GreenSslSocket {
    /// Encrypts and sends up to 48 KiB, and returns when the kernel has it all.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.check_open()?;
        let deadline = self.deadline(Direction::Write)?;
        self.handshake_until(deadline)?;
        if buf.is_empty() {
            return Ok(0);
        }
        self.unless_closed(self.shared.duplex.write(buf, deadline))
    }

    /// Like one write of what the slices hold, up to 48 KiB: one record if it fits.
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        const MOST: usize = 48 * 1024;
        match bufs.iter().filter(|buf| !buf.is_empty()).count() {
            0 => self.write(&[]),
            1 => self.write(
                bufs.iter()
                    .find(|buf| !buf.is_empty())
                    .map_or(&[], |buf| buf),
            ),
            _ => {
                let total = bufs.iter().map(|buf| buf.len()).sum::<usize>().min(MOST);
                let mut joined = Vec::with_capacity(total);
                for buf in bufs {
                    let room = total - joined.len();
                    joined.extend_from_slice(&buf[..buf.len().min(room)]);
                }
                self.write(&joined)
            }
        }
    }

    /// Waits until nothing is left to send: does nothing except after a write in non-blocking mode.
    fn flush(&mut self) -> io::Result<()> {
        let deadline = self.deadline(Direction::Write)?;
        self.unless_closed(self.shared.duplex.flush(deadline))
    }
}

impl Read for GreenSslSocket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for GreenSslSocket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl AsRef<GreenSocket> for GreenSslSocket {
    fn as_ref(&self) -> &GreenSocket {
        self.get_ref()
    }
}

impl AsFd for GreenSslSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl AsRawFd for GreenSslSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.get_ref().as_raw_fd()
    }
}

impl fmt::Debug for GreenSslSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GreenSslSocket")
            .field("socket", self.get_ref())
            .field("server_side", &self.server_side())
            .field("handshaken", &self.shared.duplex.is_handshaken())
            .finish_non_exhaustive()
    }
}
