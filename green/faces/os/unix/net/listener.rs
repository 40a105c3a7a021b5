//! Unix listeners.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use greenhub::greenio::{Domain, GreenSocket, SockAddr, Type};

use super::{Descriptor, UnixStream, address};
use crate::net::socket_face;

/// As many connections may wait as the kernel allows; std asks for the same.
const BACKLOG: i32 = -1;

/// A Unix socket that accepts connections: [`std::os::unix::net::UnixListener`] on
/// green threads.
///
/// # Examples
///
/// ```
/// use green::os::linux::net::SocketAddrExt;
/// use green::os::unix::net::{SocketAddr, UnixListener, UnixStream};
/// use std::io::{self, Write};
///
/// # fn main() -> io::Result<()> {
/// let name = format!("green-example-{}", std::process::id());
/// let address = SocketAddr::from_abstract_name(name)?;
/// let listener = UnixListener::bind_addr(&address)?;
///
/// let mut client = UnixStream::connect_addr(&address)?;
/// client.write_all(b"hello")?;
/// drop(client);
/// let (server, _peer) = listener.accept()?;
/// assert_eq!(io::read_to_string(server)?, "hello");
/// # Ok(())
/// # }
/// ```
pub struct UnixListener {
    socket: GreenSocket,
}

impl UnixListener {
    /// Makes a socket file at `path` and listens on it. The file is not removed when
    /// the listener is dropped.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`, such as [`AddrInUse`](io::ErrorKind::AddrInUse) when the
    /// file exists;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a path that is too long or
    /// holds a null byte.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        bind(&address::of_path(path.as_ref())?)
    }

    /// Listens on an address, which may be an abstract name.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`.
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixListener> {
        bind(&address::of_std(socket_addr)?)
    }

    /// Waits for a connection. When descriptors or memory run out, the call pauses
    /// before it returns the error; see [`GreenSocket::accept`].
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`.
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (socket, peer) = self.socket.accept()?;
        Ok((socket.into(), address::to_std(peer)?))
    }

    /// Connections without end, as [`accept`](Self::accept) returns them.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Another handle to the same socket. Non-blocking mode is shared.
    ///
    /// # Errors
    ///
    /// None: no descriptor is duplicated.
    pub fn try_clone(&self) -> io::Result<UnixListener> {
        self.socket.try_clone().map(UnixListener::from)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr().and_then(address::to_std)
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
}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

/// Connections without end: see [`UnixListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<io::Result<UnixStream>> {
        Some(self.listener.accept().map(|(stream, _peer)| stream))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

fn bind(address: &SockAddr) -> io::Result<UnixListener> {
    let socket = GreenSocket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?;
    Ok(UnixListener { socket })
}

socket_face!(UnixListener, std::os::unix::net::UnixListener);

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("UnixListener");
        fields.field("fd", &Descriptor(self.as_raw_fd()));
        if let Ok(address) = self.local_addr() {
            fields.field("local", &address);
        }
        fields.finish()
    }
}
