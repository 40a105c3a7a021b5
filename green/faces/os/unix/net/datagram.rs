//! Unix datagram sockets.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use greenhub::greenio::{Domain, GreenSocket, SockAddr, Type};

use super::{Descriptor, address};
use crate::net::socket_face;

/// A Unix datagram socket: [`std::os::unix::net::UnixDatagram`] on green threads.
///
/// # Examples
///
/// ```
/// use green::os::unix::net::UnixDatagram;
///
/// # fn main() -> std::io::Result<()> {
/// let (here, there) = UnixDatagram::pair()?;
/// here.send(b"hello")?;
/// let mut buf = [0; 16];
/// assert_eq!(there.recv(&mut buf)?, 5);
/// # Ok(())
/// # }
/// ```
pub struct UnixDatagram {
    socket: GreenSocket,
}

impl UnixDatagram {
    /// Makes a socket file at `path`. The file is not removed when the socket is
    /// dropped.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`, such as [`AddrInUse`](io::ErrorKind::AddrInUse) when the
    /// file exists;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a path that is too long or
    /// holds a null byte.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        bind(&address::of_path(path.as_ref())?)
    }

    /// Binds to an address, which may be an abstract name.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`.
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixDatagram> {
        bind(&address::of_std(socket_addr)?)
    }

    /// A socket without a name.
    ///
    /// # Errors
    ///
    /// Too many open files.
    pub fn unbound() -> io::Result<UnixDatagram> {
        let socket = GreenSocket::new(Domain::UNIX, Type::DGRAM, None)?;
        Ok(UnixDatagram { socket })
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// Too many open files.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::os::unix::net::UnixDatagram;
    ///
    /// let (one, other) = UnixDatagram::pair()?;
    /// one.send(b"hello")?;
    /// let mut buffer = [0; 16];
    /// assert_eq!(other.recv(&mut buffer)?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = GreenSocket::pair(Domain::UNIX, Type::DGRAM, None)?;
        Ok((one.into(), other.into()))
    }

    /// Sends from now on to the socket file at `path`, and receives only from there.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a path that is too long or
    /// holds a null byte.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.socket.connect(&address::of_path(path.as_ref())?)
    }

    /// Sends from now on to an address, and receives only from there.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`.
    pub fn connect_addr(&self, socket_addr: &SocketAddr) -> io::Result<()> {
        self.socket.connect(&address::of_std(socket_addr)?)
    }

    /// Waits for a datagram and tells who sent it. What does not fit is lost.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`; [`WouldBlock`](io::ErrorKind::WouldBlock) when the read
    /// timeout passes.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (len, sender) = self.socket.recv_from(buf)?;
        Ok((len, address::to_std(sender)?))
    }

    /// Waits for a datagram. What does not fit is lost.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`; [`WouldBlock`](io::ErrorKind::WouldBlock) when the read
    /// timeout passes.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buf)
    }

    /// Sends a datagram to the socket file at `path`.
    ///
    /// While the receiver's queue is full, the call tries again after pauses of at
    /// most 16 ms: the kernel does not report when there is room.
    ///
    /// # Errors
    ///
    /// Those of `send(2)`; [`WouldBlock`](io::ErrorKind::WouldBlock) when the write
    /// timeout passes.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a path that is too long or
    /// holds a null byte.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::os::unix::net::UnixDatagram;
    ///
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("socket");
    /// let receiver = UnixDatagram::bind(&path)?;
    /// UnixDatagram::unbound()?.send_to(b"hello", &path)?;
    /// let mut buffer = [0; 16];
    /// let (length, from) = receiver.recv_from(&mut buffer)?;
    /// assert!(&buffer[..length] == b"hello" && from.is_unnamed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        self.socket.send_to(buf, &address::of_path(path.as_ref())?)
    }

    /// Sends a datagram to an address, as [`send_to`](Self::send_to).
    ///
    /// # Errors
    ///
    /// Those of `send(2)`; [`WouldBlock`](io::ErrorKind::WouldBlock) when the write
    /// timeout passes.
    pub fn send_to_addr(&self, buf: &[u8], socket_addr: &SocketAddr) -> io::Result<usize> {
        self.socket.send_to(buf, &address::of_std(socket_addr)?)
    }

    /// Sends a datagram to the address set by [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// Those of `send(2)`; [`WouldBlock`](io::ErrorKind::WouldBlock) when the write
    /// timeout passes.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.send(buf)
    }

    /// Another handle to the same socket. Timeouts and non-blocking mode are shared.
    ///
    /// # Errors
    ///
    /// None: no descriptor is duplicated.
    pub fn try_clone(&self) -> io::Result<UnixDatagram> {
        self.socket.try_clone().map(UnixDatagram::from)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr().and_then(address::to_std)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr().and_then(address::to_std)
    }

    /// Limits how long receiving waits: it then fails with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), and the socket stays usable.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a timeout of zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(timeout)
    }

    /// Limits how long sending waits: it then fails with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), and the socket stays usable.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a timeout of zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_write_timeout(timeout)
    }

    /// The timeout for receiving, exactly as it was set.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.read_timeout())
    }

    /// The timeout for sending, exactly as it was set.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.write_timeout())
    }

    /// Chooses whether calls that would wait fail with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) instead, for all clones.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking);
        Ok(())
    }

    /// Takes the error stored on the socket (`SO_ERROR`), if any.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Ends one direction of the connection, or both, for all clones, and wakes
    /// the threads that wait in it.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if there is no connection.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}

fn bind(address: &SockAddr) -> io::Result<UnixDatagram> {
    let datagram = UnixDatagram::unbound()?;
    datagram.socket.bind(address)?;
    Ok(datagram)
}

socket_face!(UnixDatagram, std::os::unix::net::UnixDatagram);

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("UnixDatagram");
        fields.field("fd", &Descriptor(self.as_raw_fd()));
        if let Ok(address) = self.local_addr() {
            fields.field("local", &address);
        }
        if let Ok(address) = self.peer_addr() {
            fields.field("peer", &address);
        }
        fields.finish()
    }
}
