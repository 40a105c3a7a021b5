//! The socket itself: what it consists of, how it is made, named, shared, shut
//! down and closed.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Type};

use super::backoff::Backoff;
use super::settings::Settings;
use super::unannounced::retry_unannounced;
use super::verdict::Verdict;
use crate::calls;
use crate::deadline::Deadline;
use crate::hub::wait::give_way;
use crate::source::{Direction, Source};
use crate::sys::socket;

/// A socket of any family and type that parks green threads instead of blocking.
///
/// It has the whole socket interface: a call that would block parks the calling
/// green thread (or blocks the calling OS thread, outside of green threads) until
/// the peer, a limit or a close ends the wait. Any number of threads may use one socket at once, through `&self`; those
/// that wait in one direction are served in order of arrival.
///
/// # Clones
///
/// [`try_clone`](Self::try_clone) gives another handle to the *same* descriptor.
/// Handles share non-blocking mode and timeouts, as std's clones do. The
/// descriptor is closed when the last handle is dropped.
///
/// # Closing
///
/// [`close`](Self::close) and [`shutdown`](Self::shutdown) wake every thread that
/// waits on the socket. After `close` each call fails with kind
/// [`NotConnected`](io::ErrorKind::NotConnected), which is neither an end of
/// stream nor a reset.
///
/// # Examples
///
/// ```
/// use green::greenio::{Domain, GreenSocket, Type};
/// use std::net::SocketAddr;
///
/// # fn main() -> std::io::Result<()> {
/// let listener = GreenSocket::new(Domain::IPV4, Type::STREAM, None)?;
/// listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
/// listener.listen(128)?;
///
/// let client = GreenSocket::new(Domain::IPV4, Type::STREAM, None)?;
/// client.connect(&listener.local_addr()?)?;
/// let (server, _peer) = listener.accept()?;
///
/// client.send_all(b"hello")?;
/// let mut buf = [0; 16];
/// assert_eq!(server.recv(&mut buf)?, 5);
/// # Ok(())
/// # }
/// ```
pub struct GreenSocket {
    shared: Arc<Shared>,
}

/// What the handles of one socket share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) source: Source,
    pub(super) settings: Settings,
    pub(super) kind: Kind,
    pub(super) verdict: Verdict,
    pub(super) backoff: Backoff,
    shut_for_reading: AtomicBool,
}

impl Shared {
    /// Whether the reading end of a socket for messages was shut down through one
    /// of the handles.
    pub(super) fn is_shut_for_reading(&self) -> bool {
        self.shut_for_reading.load(Ordering::Acquire)
    }
}

// A panic leaves no socket half-changed: its state is the kernel's, and ours is
// a few atomics. std's sockets make the same promise.
impl UnwindSafe for GreenSocket {}
impl RefUnwindSafe for GreenSocket {}

/// # Making and naming
impl GreenSocket {
    /// Opens a socket.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`, such as an unsupported family, or too many open
    /// files.
    pub fn new(domain: Domain, ty: Type, protocol: Option<Protocol>) -> io::Result<GreenSocket> {
        // Whoever has no more descriptors may try again until others close some.
        let socket = calls::socket(domain, ty, protocol).inspect_err(|_| give_way())?;
        let kind = Kind::new(domain, ty, protocol);
        Ok(GreenSocket::from_parts(socket, kind, Settings::default()))
    }

    /// Opens two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// Those of `socketpair(2)`.
    pub fn pair(
        domain: Domain,
        ty: Type,
        protocol: Option<Protocol>,
    ) -> io::Result<(GreenSocket, GreenSocket)> {
        let (one, other) = calls::pair(domain, ty, protocol)?;
        let kind = Kind::new(domain, ty, protocol);
        let green = |end| GreenSocket::from_parts(end, kind, Settings::default());
        Ok((green(one), green(other)))
    }

    /// `descriptor` must be non-blocking already.
    pub(super) fn from_parts(descriptor: OwnedFd, kind: Kind, settings: Settings) -> GreenSocket {
        let source = match kind {
            Kind::Tcp => Source::new_tcp_stream(descriptor),
            Kind::Stream | Kind::Other => Source::new(descriptor),
        };
        GreenSocket {
            shared: Arc::new(Shared {
                source,
                settings,
                kind,
                verdict: Verdict::default(),
                backoff: Backoff::default(),
                shut_for_reading: AtomicBool::new(false),
            }),
        }
    }

    /// Gives the socket a local address.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`, such as [`AddrInUse`](io::ErrorKind::AddrInUse).
    pub fn bind(&self, address: &SockAddr) -> io::Result<()> {
        calls::bind(self.descriptor(), address).inspect_err(|_| give_way())
    }

    /// Makes the socket accept connections, at most `backlog` of them waiting.
    /// The kernel lowers a larger number, and a negative one, to its own limit.
    ///
    /// # Errors
    ///
    /// Those of `listen(2)`.
    pub fn listen(&self, backlog: i32) -> io::Result<()> {
        calls::listen(self.descriptor(), backlog)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SockAddr> {
        calls::local_addr(self.descriptor())
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if there is no other end.
    pub fn peer_addr(&self) -> io::Result<SockAddr> {
        calls::peer_addr(self.descriptor())
    }

    /// The family the socket was opened with.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn domain(&self) -> io::Result<Domain> {
        self.sock().domain()
    }

    /// The type the socket was opened with.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn r#type(&self) -> io::Result<Type> {
        self.sock().r#type()
    }

    /// The protocol of the socket, if its family knows any.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn protocol(&self) -> io::Result<Option<Protocol>> {
        self.sock().protocol()
    }

    /// Takes the error that is stored on the socket (`SO_ERROR`), if any.
    ///
    /// The kernel does not report it again, but a stream that it broke stays broken: reads go on reporting it.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let taken = calls::take_error(self.descriptor())?;
        taken.iter().for_each(|error| self.note(error));
        Ok(taken.or_else(|| self.shared.verdict.pay()))
    }
}

/// # Sharing, shutting down, closing
impl GreenSocket {
    /// Another handle to the same socket; see [Clones](Self#clones). Never fails;
    /// it returns a result because std's does.
    ///
    /// # Errors
    ///
    /// None.
    pub fn try_clone(&self) -> io::Result<GreenSocket> {
        Ok(GreenSocket {
            shared: Arc::clone(&self.shared),
        })
    }

    /// Ends one direction of the connection, or both, for all handles.
    ///
    /// Threads that wait in that direction return: readers with the end of the
    /// stream, writers with [`BrokenPipe`](io::ErrorKind::BrokenPipe), `accept`
    /// with [`InvalidInput`](io::ErrorKind::InvalidInput). On a socket that was
    /// closed here it does nothing.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if there is no connection.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if self.is_closed() {
            return Ok(());
        }
        // What is shut down is noted first, so that whoever is woken finds it.
        let messages = self.shared.kind == Kind::Other;
        let reading = messages && how != Shutdown::Write;
        let shut_for_reading = &self.shared.shut_for_reading;
        shut_for_reading.fetch_or(reading, Ordering::Release);
        let outcome = calls::shutdown(self.descriptor(), how);
        match &outcome {
            // With ENOTCONN the kernel has shut down what there was.
            Err(error) if error.raw_os_error() != Some(libc::ENOTCONN) => {
                shut_for_reading.fetch_and(!reading, Ordering::Release);
            }
            // No event tells a sender of messages of the end of its own side.
            _ => self.shared.source.nudge(Direction::Write),
        }
        outcome
    }

    /// Closes the connection now, for all handles, and wakes whoever waits on it.
    ///
    /// The peer is told, even if another handle or another process still holds the descriptor: by an end of stream, or,
    /// after [`set_linger`](Self::set_linger) with zero, by a reset alone (which comes later if another process holds
    /// the descriptor). From then on each call that would transfer data fails with kind
    /// [`NotConnected`](io::ErrorKind::NotConnected). Dropping the last handle closes as well; this is for code that
    /// must close while others still hold a handle. Closing twice is harmless.
    ///
    /// It waits only for a TCP connection that lingers
    /// ([`set_linger`](Self::set_linger)): until the peer has confirmed all that was
    /// sent, or is gone, or the time has passed. Everything said above has happened
    /// by then. `socket.source().close()` closes without that wait.
    pub fn close(&self) {
        if let Some((rest, time)) = self.shared.source.close_but_linger() {
            let deadline = Deadline::after(time);
            // Once the time has passed the rest is the kernel's.
            let _ = retry_unannounced(&rest, deadline, |fd| match socket::is_closing(fd) {
                true => Err(io::ErrorKind::WouldBlock.into()),
                false => Ok(()),
            });
        }
    }

    /// Whether [`close`](Self::close) was called on any handle.
    pub fn is_closed(&self) -> bool {
        self.shared.source.is_closed()
    }

    /// Waits until a read would not wait: data, an end, an error or a connection
    /// to accept is there. `Ok(false)` when `limit` passes first.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the socket is closed here.
    pub fn wait_readable(&self, limit: Option<Duration>) -> io::Result<bool> {
        self.wait(Direction::Read, limit)
    }

    /// Waits until a write would not wait. `Ok(false)` when `limit` passes first.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the socket is closed here.
    pub fn wait_writable(&self, limit: Option<Duration>) -> io::Result<bool> {
        self.wait(Direction::Write, limit)
    }

    fn wait(&self, direction: Direction, limit: Option<Duration>) -> io::Result<bool> {
        self.shared.source.wait(direction, Deadline::within(limit))
    }

    /// The descriptor as the hub knows it: for layers that make their own calls.
    pub fn source(&self) -> &Source {
        &self.shared.source
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn into_shared(self) -> Arc<Shared> {
        self.shared
    }

    /// Keeps an error that breaks a stream, because the kernel will not.
    pub(super) fn note(&self, error: &io::Error) {
        if self.shared.kind != Kind::Other {
            self.shared.verdict.note(error);
        }
    }

    /// What to report where sending failed with `error`.
    pub(super) fn failed_send(&self, error: io::Error) -> io::Error {
        match self.shared.kind {
            Kind::Other => error,
            _ => self.shared.verdict.of_send(error),
        }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.source().fd().as_fd()
    }

    /// Options go through `socket2`.
    pub(super) fn sock(&self) -> SockRef<'_> {
        SockRef::from(self.source().fd())
    }
}

impl AsRef<GreenSocket> for GreenSocket {
    fn as_ref(&self) -> &GreenSocket {
        self
    }
}

impl AsFd for GreenSocket {
    /// The descriptor is non-blocking: C code that reads from it sees `EAGAIN`.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.source.as_fd()
    }
}

impl AsRawFd for GreenSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for GreenSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("GreenSocket");
        fields.field("fd", &self.source().fd().as_raw_fd());
        if let Ok(address) = self.local_addr() {
            fields.field("local", &Shown(address));
        }
        if let Ok(address) = self.peer_addr() {
            fields.field("peer", &Shown(address));
        }
        fields.finish()
    }
}

/// Shows an address in the form std gives it, where it has one.
struct Shown(SockAddr);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.0.as_socket() {
            address.fmt(f)
        } else if let Some(path) = self.0.as_pathname() {
            path.fmt(f)
        } else if let Some(name) = self.0.as_abstract_namespace() {
            write!(f, "@{}", name.escape_ascii())
        } else if self.0.is_unnamed() {
            f.write_str("(unnamed)")
        } else {
            self.0.fmt(f)
        }
    }
}

/// The kind of socket, as far as the calls must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A stream of which a short read says that nothing more has arrived. That
    /// holds for TCP alone: MPTCP and SCTP stream too.
    Tcp,
    /// A stream: a read of nothing is its end.
    Stream,
    /// Messages, which may be empty.
    Other,
}

impl Kind {
    pub(super) fn new(domain: Domain, ty: Type, protocol: Option<Protocol>) -> Kind {
        let ip = domain == Domain::IPV4 || domain == Domain::IPV6;
        match ty == Type::STREAM {
            true if ip && protocol.is_none_or(|protocol| protocol == Protocol::TCP) => Kind::Tcp,
            true => Kind::Stream,
            false => Kind::Other,
        }
    }
}
