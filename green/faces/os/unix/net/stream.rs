//! Unix streams.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use greenhub::greenio::{Domain, GreenSocket, SockAddr, Type};

use super::{Descriptor, address};
use crate::net::{socket_face, stream_face};

/// A Unix stream: [`std::os::unix::net::UnixStream`] on green threads.
///
/// # Examples
///
/// ```
/// use green::os::unix::net::UnixStream;
/// use std::io::{self, Write};
///
/// # fn main() -> io::Result<()> {
/// let (mut here, there) = UnixStream::pair()?;
/// here.write_all(b"hello")?;
/// drop(here);
/// assert_eq!(io::read_to_string(there)?, "hello");
/// # Ok(())
/// # }
/// ```
pub struct UnixStream {
    socket: GreenSocket,
}

impl UnixStream {
    /// Connects to the socket file at `path`.
    ///
    /// While the listener's queue is full, the call tries again after pauses of at
    /// most 16 ms: the kernel does not report when there is room.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`, such as
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a path that is too long or
    /// holds a null byte.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        connect(&address::of_path(path.as_ref())?)
    }

    /// Connects to an address, which may be an abstract name.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`.
    pub fn connect_addr(socket_addr: &SocketAddr) -> io::Result<UnixStream> {
        connect(&address::of_std(socket_addr)?)
    }

    /// Two streams that are connected to each other.
    ///
    /// # Errors
    ///
    /// Too many open files.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::os::unix::net::UnixStream;
    /// use std::io::{self, Write};
    ///
    /// let (mut one, other) = UnixStream::pair()?;
    /// one.write_all(b"hello")?;
    /// drop(one);
    /// assert_eq!(io::read_to_string(other)?, "hello");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = GreenSocket::pair(Domain::UNIX, Type::STREAM, None)?;
        Ok((one.into(), other.into()))
    }

    /// Another handle to the same socket. Timeouts and non-blocking mode are shared.
    ///
    /// # Errors
    ///
    /// None: no descriptor is duplicated.
    pub fn try_clone(&self) -> io::Result<UnixStream> {
        self.socket.try_clone().map(UnixStream::from)
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

fn connect(address: &SockAddr) -> io::Result<UnixStream> {
    let socket = GreenSocket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.connect(address)?;
    Ok(UnixStream { socket })
}

socket_face!(UnixStream, std::os::unix::net::UnixStream);
stream_face!(UnixStream, &UnixStream);

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("UnixStream");
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
