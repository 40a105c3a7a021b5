//! Listening with a choice of options, and what a server can accept connections from.

use crate::net::ToSocketAddrs;
use std::io;
use std::path::Path;

use greenhub::greenio::{Domain, GreenSocket, Protocol, SockAddr, Type};

use crate::net::resolve::each_address;
use crate::net::{SocketAddr, TcpListener, TcpStream};
use crate::os::unix;
use crate::os::unix::net::{UnixListener, UnixStream};

/// Linux's own limit, unless `net.core.somaxconn` was changed.
const BACKLOG: i32 = 4096;

/// How to listen.
///
/// ```
/// use green::convenience::Listen;
///
/// # fn main() -> std::io::Result<()> {
/// let first = Listen::new().backlog(1024).reuse_port(true).tcp("127.0.0.1:0")?;
/// // A second process, or a second hub's server, on the same port.
/// let second = Listen::new().reuse_port(true).tcp(first.local_addr()?)?;
/// # drop(second);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "listens only when told where"]
pub struct Listen {
    backlog: i32,
    reuse_address: bool,
    reuse_port: bool,
    only_v6: Option<bool>,
}

impl Default for Listen {
    fn default() -> Listen {
        Listen {
            backlog: BACKLOG,
            reuse_address: true,
            reuse_port: false,
            only_v6: None,
        }
    }
}

impl Listen {
    /// With `SO_REUSEADDR`, as [`TcpListener::bind`], and a backlog of 4096 instead of std's 128: so a burst of
    /// clients finds room while a single green thread accepts them one by one.
    pub fn new() -> Listen {
        Listen::default()
    }

    /// How many connections may wait to be accepted; the kernel's limit is
    /// `net.core.somaxconn`.
    ///
    /// ```
    /// use green::convenience::Listen;
    ///
    /// let listener = Listen::new().backlog(1).tcp("127.0.0.1:0")?;
    /// assert!(green::connect(listener.local_addr()?).is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn backlog(mut self, connections: u32) -> Listen {
        self.backlog = i32::try_from(connections).unwrap_or(i32::MAX);
        self
    }

    /// Whether an address may be bound while connections of a server that has ended still linger on it.
    ///
    /// ```
    /// use green::convenience::Listen;
    ///
    /// let listener = Listen::new().tcp("127.91.4.1:0")?;
    /// let address = listener.local_addr()?;
    /// let mine = green::connect(address)?;
    /// let theirs = listener.accept()?;
    /// // The server ends before its client: the connection lingers on the address.
    /// drop((theirs, listener, mine));
    /// assert!(Listen::new().reuse_address(true).tcp(address).is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reuse_address(mut self, on: bool) -> Listen {
        self.reuse_address = on;
        self
    }

    /// Whether several listeners may share the address, if each of them asks for that: the kernel spreads the
    /// connections over them.
    ///
    /// ```
    /// use std::io::ErrorKind::AddrInUse;
    ///
    /// use green::convenience::Listen;
    ///
    /// let shared = Listen::new().reuse_port(true);
    /// let first = shared.tcp("127.0.0.1:0")?;
    /// assert!(shared.tcp(first.local_addr()?).is_ok());
    /// let error = Listen::new().tcp(first.local_addr()?).unwrap_err();
    /// assert_eq!(error.kind(), AddrInUse);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Differences from eventlet
    ///
    /// Off unless asked for: with it, a second start of a server by mistake goes unnoticed.
    pub fn reuse_port(mut self, on: bool) -> Listen {
        self.reuse_port = on;
        self
    }

    /// Whether a listener on an IPv6 address refuses IPv4; if not set, the system's setting decides.
    ///
    /// ```
    /// use green::convenience::Listen;
    ///
    /// if let Ok(listener) = Listen::new().only_v6(true).tcp("[::1]:0") {
    ///     assert!(listener.local_addr()?.is_ipv6());
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn only_v6(mut self, on: bool) -> Listen {
        self.only_v6 = Some(on);
        self
    }

    /// Listens on the first address of `addr` that can be bound. Port 0 has the kernel choose one,
    /// which no other listener then has: together with `reuse_port` that is logged as a warning,
    /// since it is rarely meant.
    ///
    /// ```
    /// use std::io::ErrorKind::AddrInUse;
    ///
    /// use green::convenience::Listen;
    ///
    /// let listener = Listen::new().tcp("127.0.0.1:0")?;
    /// let error = Listen::new().tcp(listener.local_addr()?).unwrap_err();
    /// assert_eq!(error.kind(), AddrInUse);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the last address tried, such as [`AddrInUse`](io::ErrorKind::AddrInUse);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address; that of the look-up
    /// if it fails; that of setsockopt(2) for an option that the system does not have.
    pub fn tcp<A: ToSocketAddrs>(&self, addr: A) -> io::Result<TcpListener> {
        each_address(addr, |address| {
            if self.reuse_port && address.port() == 0 {
                log::warn!("listening on {address} with reuse_port: port 0 is never shared");
            }
            let domain = Domain::for_address(*address);
            let socket = GreenSocket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            if let Some(only) = self.only_v6.filter(|_| address.is_ipv6()) {
                socket.set_only_v6(only)?;
            }
            self.listen(&socket, &(*address).into())?;
            Ok(socket.into())
        })
    }

    /// Listens on a path, which must not exist.
    ///
    /// ```
    /// use green::{convenience::Listen, os::unix::net::UnixStream};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("socket");
    /// let listener = Listen::new().unix(&path)?;
    /// let _client = UnixStream::connect(&path)?;
    /// assert!(listener.accept().is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of bind(2), such as [`AddrInUse`](io::ErrorKind::AddrInUse) if the path exists.
    pub fn unix<P: AsRef<Path>>(&self, path: P) -> io::Result<UnixListener> {
        let socket = GreenSocket::new(Domain::UNIX, Type::STREAM, None)?;
        let address = SockAddr::unix(path)?;
        socket.bind(&address)?;
        socket.listen(self.backlog)?;
        Ok(socket.into())
    }

    fn listen(&self, socket: &GreenSocket, address: &SockAddr) -> io::Result<()> {
        socket.set_reuse_address(self.reuse_address)?;
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        socket.bind(address)?;
        socket.listen(self.backlog)
    }
}

/// What a [`Server`](super::Server) takes connections from.
///
/// ```
/// use std::io::{Read, Write};
///
/// use green::convenience::{Accept, Listen, StopServe};
/// use green::os::unix::net::UnixStream;
///
/// /// Answers one client, over TCP, a Unix socket or TLS alike.
/// fn answer_one<L: Accept<Stream: Write>>(listener: L) -> std::io::Result<()> {
///     green::serve(
///         listener,
///         |mut stream, _| {
///             let _ = stream.write_all(b"here");
///             Err(StopServe::new())
///         },
///         1,
///     )
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("socket");
/// let listener = Listen::new().unix(&path)?;
/// let server = green::thread::spawn(|| answer_one(listener));
/// let mut answer = String::new();
/// UnixStream::connect(&path)?.read_to_string(&mut answer)?;
/// assert_eq!(answer, "here");
/// server.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no listener that green takes connections from",
    note = "`green::listen(address)?` makes one; one of std's becomes one by `green::net::TcpListener::from`"
)]
pub trait Accept: AsRef<GreenSocket> + Send + Sync + 'static {
    /// A connection.
    type Stream: Send + 'static;
    /// The address of its peer.
    type Address: Send + 'static;

    /// Waits for the next connection. A closed socket ends the wait with an error.
    ///
    /// # Errors
    ///
    /// Those of accept(2).
    fn accept(&self) -> io::Result<(Self::Stream, Self::Address)>;
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    type Address = SocketAddr;

    fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept(self)
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;
    type Address = unix::net::SocketAddr;

    fn accept(&self) -> io::Result<(UnixStream, unix::net::SocketAddr)> {
        UnixListener::accept(self)
    }
}
