//! TCP: streams and listeners.

use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use greenhub::greenio::{Domain, GreenSocket, Protocol, Type};

use super::resolve::{ToSocketAddrs, each_address};
use super::{ip_address, socket_face, stream_face};

/// How many connections may wait to be accepted; std's number.
const BACKLOG: i32 = 128;

/// A TCP connection: [`std::net::TcpStream`] on green threads.
///
/// Any number of threads may read and write one stream at once, through `&self`
/// or through clones. See the [module](super) for the differences from std.
///
/// # Examples
///
/// ```
/// use green::net::{TcpListener, TcpStream};
/// use std::io::{self, Write};
///
/// # fn main() -> io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut client = TcpStream::connect(listener.local_addr()?)?;
/// let (server, _peer) = listener.accept()?;
///
/// client.write_all(b"hello")?;
/// drop(client);
/// assert_eq!(io::read_to_string(server)?, "hello");
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    socket: GreenSocket,
}

impl TcpStream {
    /// Connects to the first address of `addr` that answers.
    ///
    /// A name is looked up on the blocking pool.
    ///
    /// # Errors
    ///
    /// The error of the last address tried, such as
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address;
    /// that of the look-up if it fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let address = listener.local_addr()?;
    /// assert_eq!(TcpStream::connect(address)?.peer_addr()?, address);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        each_address(addr, |address| {
            let socket = open(address)?;
            socket.connect(&(*address).into())?;
            Ok(TcpStream { socket })
        })
    }

    /// Connects to `addr`, waiting no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](io::ErrorKind::TimedOut) when the time has passed;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a timeout of zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::net::{TcpListener, TcpStream};
    /// use std::time::Duration;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect_timeout(&listener.local_addr()?, Duration::from_secs(5))?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        let socket = open(addr)?;
        socket.connect_timeout(&(*addr).into(), timeout)?;
        Ok(TcpStream { socket })
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr().and_then(ip_address)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr().and_then(ip_address)
    }

    /// Ends one direction of the connection, or both, for all clones, and wakes
    /// the threads that wait in it.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::net::{Shutdown, TcpListener, TcpStream};
    /// use std::io::{self, Write};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut client = TcpStream::connect(listener.local_addr()?)?;
    /// let (mut server, _) = listener.accept()?;
    ///
    /// client.write_all(b"question")?;
    /// client.shutdown(Shutdown::Write)?;
    /// assert_eq!(io::read_to_string(&server)?, "question");
    /// server.write_all(b"answer")?;
    /// drop(server);
    /// assert_eq!(io::read_to_string(client)?, "answer");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }

    /// Another handle to the same connection. Timeouts and non-blocking mode are
    /// shared.
    ///
    /// # Errors
    ///
    /// None: no descriptor is duplicated.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        self.socket.try_clone().map(TcpStream::from)
    }

    /// Limits how long a read waits: it then fails with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), and the stream stays usable.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a timeout of zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::net::{TcpListener, TcpStream};
    /// use std::io::{ErrorKind, Read};
    /// use std::time::Duration;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut client = TcpStream::connect(listener.local_addr()?)?;
    /// client.set_read_timeout(Some(Duration::from_millis(5)))?;
    /// let error = client.read(&mut [0]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::WouldBlock);
    /// assert!(green::is_timeout(&error));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(dur)
    }

    /// Limits how long a write waits: it then fails with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), and the stream stays usable.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a timeout of zero.
    pub fn set_write_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.socket.set_write_timeout(dur)
    }

    /// The timeout for reads, exactly as it was set.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.read_timeout())
    }

    /// The timeout for writes, exactly as it was set.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.write_timeout())
    }

    /// Copies what has arrived into `buf` without taking it.
    ///
    /// # Errors
    ///
    /// As a read.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::net::{TcpListener, TcpStream};
    /// use std::io::{Read, Write};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut client = TcpStream::connect(listener.local_addr()?)?;
    /// let (mut server, _) = listener.accept()?;
    /// client.write_all(b"x")?;
    /// let mut byte = [0];
    /// assert_eq!(server.peek(&mut byte)?, 1);
    /// assert_eq!(server.read(&mut byte)?, 1);
    /// assert_eq!(&byte, b"x");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.peek(buf)
    }

    /// Sends small pieces at once instead of gathering them (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.set_nodelay(nodelay)
    }

    /// The setting of [`set_nodelay`](Self::set_nodelay).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.nodelay()
    }

    /// How many hops a packet may take (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_ttl(ttl)
    }

    /// The setting of [`set_ttl`](Self::set_ttl).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.ttl()
    }

    /// Takes the error stored on the socket (`SO_ERROR`), if any.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Chooses whether calls that would wait fail with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) instead, for all clones.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::net::{TcpListener, TcpStream};
    /// use std::io::{ErrorKind, Read};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut client = TcpStream::connect(listener.local_addr()?)?;
    /// client.set_nonblocking(true)?;
    /// let error = client.read(&mut [0]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking);
        Ok(())
    }
}

/// A TCP socket that accepts connections: [`std::net::TcpListener`] on green
/// threads.
///
/// # Examples
///
/// A server with one green thread a connection:
///
/// ```
/// use green::net::{TcpListener, TcpStream};
/// use green::thread;
/// use std::io::{self, Read, Write};
///
/// # fn main() -> io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// thread::spawn(move || {
///     for stream in listener.incoming() {
///         // Out of descriptors, say. The accept has paused by itself, and the next may succeed.
///         let Ok(stream) = stream else { continue };
///         thread::spawn(move || io::copy(&mut &stream, &mut &stream));
///     }
/// });
///
/// let mut stream = TcpStream::connect(address)?;
/// stream.write_all(b"echo")?;
/// let mut answer = [0; 4];
/// stream.read_exact(&mut answer)?;
/// assert_eq!(&answer, b"echo");
/// # Ok(())
/// # }
/// ```
pub struct TcpListener {
    socket: GreenSocket,
}

impl TcpListener {
    /// Listens on the first address of `addr` that can be bound, with
    /// `SO_REUSEADDR` set. Port 0 has the kernel choose a port.
    ///
    /// # Errors
    ///
    /// The error of the last address tried, such as
    /// [`AddrInUse`](io::ErrorKind::AddrInUse);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address;
    /// that of the look-up if it fails.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        each_address(addr, |address| {
            let socket = open(address)?;
            socket.set_reuse_address(true)?;
            socket.bind(&(*address).into())?;
            socket.listen(BACKLOG)?;
            Ok(TcpListener { socket })
        })
    }

    /// The address listened on.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr().and_then(ip_address)
    }

    /// Another handle to the same listener. Non-blocking mode is shared.
    ///
    /// # Errors
    ///
    /// None: no descriptor is duplicated.
    pub fn try_clone(&self) -> io::Result<TcpListener> {
        self.socket.try_clone().map(TcpListener::from)
    }

    /// Waits for a connection.
    ///
    /// When descriptors or memory run out, the call pauses before it returns the
    /// error, so that a loop that reports errors and goes on does not spin; see
    /// [`GreenSocket::accept`].
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let client = TcpStream::connect(listener.local_addr()?)?;
    /// let (server, peer) = listener.accept()?;
    /// assert_eq!(peer, client.local_addr()?);
    /// assert_eq!(server.peer_addr()?, peer);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = self.socket.accept()?;
        Ok((TcpStream { socket }, ip_address(peer)?))
    }

    /// Connections without end, as [`accept`](Self::accept) returns them.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let address = listener.local_addr()?;
    /// let clients = [TcpStream::connect(address)?, TcpStream::connect(address)?];
    /// for (client, stream) in clients.iter().zip(listener.incoming()) {
    ///     assert_eq!(stream?.peer_addr()?, client.local_addr()?);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// How many hops a packet may take (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_ttl(ttl)
    }

    /// The setting of [`set_ttl`](Self::set_ttl).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.ttl()
    }

    /// Keeps an IPv6 socket from carrying IPv4 as well. It must be set before
    /// binding, so it is of no use here.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    #[deprecated = "this option can only be set before the socket is bound"]
    pub fn set_only_v6(&self, only_v6: bool) -> io::Result<()> {
        self.socket.set_only_v6(only_v6)
    }

    /// Whether the socket carries IPv6 only.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    #[deprecated = "this option can only be set before the socket is bound"]
    pub fn only_v6(&self) -> io::Result<bool> {
        self.socket.only_v6()
    }

    /// Takes the error stored on the socket (`SO_ERROR`), if any.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Chooses whether `accept` fails with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) instead of waiting, for all
    /// clones.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking);
        Ok(())
    }
}

/// Connections without end: see [`TcpListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _peer)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}

socket_face!(TcpStream, std::net::TcpStream);
socket_face!(TcpListener, std::net::TcpListener);
stream_face!(TcpStream, &TcpStream);

fn open(address: &SocketAddr) -> io::Result<GreenSocket> {
    let domain = Domain::for_address(*address);
    GreenSocket::new(domain, Type::STREAM, Some(Protocol::TCP))
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("TcpStream");
        if let Ok(address) = self.local_addr() {
            fields.field("addr", &address);
        }
        if let Ok(peer) = self.peer_addr() {
            fields.field("peer", &peer);
        }
        fields.field("fd", &self.as_raw_fd()).finish()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("TcpListener");
        if let Ok(address) = self.local_addr() {
            fields.field("addr", &address);
        }
        fields.field("fd", &self.as_raw_fd()).finish()
    }
}
