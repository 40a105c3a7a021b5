//! Servers: listening sockets whose connections are served by protocols.

use crate::net::ToSocketAddrs;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use greenhub::ClosedLocally;
use greenhub::Deadline;
use greenhub::greenio::{Domain, GreenSocket, Protocol as Ip, SockAddr, Type};
use greenhub::wait_queue::ShortLock;

use super::connect::prepare;
use super::connections::Connections;
use super::options::{Security, ServerOptions};
use super::protocol::StreamProtocol;
use super::transport::{Shared, Transport, run};
use crate::sync::Mutex;
use crate::thread::Builder;

/// Listens on every address of `address`; each connection is served by a protocol of its own, made by `factory`.
///
/// Returns when the addresses are bound. Port 0 has the kernel choose one, see [`Server::local_addr`]. Each connection
/// has a green thread, which does the TLS handshake first, so a client that says nothing holds nobody else up. If the
/// handshake fails or exceeds its limit, the connection is closed, no protocol is made, and a log record at level debug
/// says why. IPv6 addresses accept only IPv6.
///
/// # Errors
///
/// Those of [`TcpListener::bind`](crate::net::TcpListener::bind), for any of the addresses; `InvalidInput` if there is
/// none, or if a limit for TLS is zero.
///
/// # Examples
///
/// ```
/// use std::io::{self, Read, Write};
///
/// use green::asyncio::{Protocol, ServerOptions, Transport, create_server};
/// use green::net::TcpStream;
///
/// #[derive(Default)]
/// struct Echo(Option<Transport>);
///
/// impl Protocol for Echo {
///     fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
///         self.0 = Some(transport);
///         Ok(())
///     }
///
///     fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
///         self.0.as_ref().unwrap().write(data)
///     }
/// }
///
/// let server = create_server(Echo::default, "127.0.0.1:0", ServerOptions::new())?;
/// let mut client = TcpStream::connect(server.local_addr()?)?;
/// client.write_all(b"hello")?;
/// let mut echo = [0; 5];
/// client.read_exact(&mut echo)?;
/// assert_eq!(&echo, b"hello");
/// # Ok::<(), io::Error>(())
/// ```
pub fn create_server<P, Kind>(
    factory: impl Fn() -> P + Send + Sync + 'static,
    address: impl ToSocketAddrs,
    options: ServerOptions,
) -> io::Result<Server>
where
    P: StreamProtocol<Kind>,
    Kind: 'static,
{
    options.security.check()?;
    let mut listeners = Vec::new();
    for address in address.to_socket_addrs()? {
        listeners.push(bind(&address, &options)?);
    }
    if listeners.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "could not resolve to any addresses",
        ));
    }
    Server::new(factory, listeners, None, options)
}

/// As [`create_server`], on a Unix socket. A socket that an earlier server left at `path` is replaced, as in asyncio;
/// closing removes the file, if it is still ours.
///
/// # Errors
///
/// Those of [`UnixListener::bind`](crate::os::unix::net::UnixListener::bind).
///
/// # Examples
///
/// ```
/// use std::io::{self, Read};
///
/// use green::asyncio::{Protocol, ServerOptions, Transport, create_unix_server};
/// use green::os::unix::net::UnixStream;
///
/// struct Greet;
///
/// impl Protocol for Greet {
///     fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
///         transport.write(b"welcome")?;
///         transport.close();
///         Ok(())
///     }
///
///     fn data_received(&mut self, _: &[u8]) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("socket");
/// let server = create_unix_server(|| Greet, &path, ServerOptions::new())?;
/// let mut heard = String::new();
/// UnixStream::connect(&path)?.read_to_string(&mut heard)?;
/// assert_eq!(heard, "welcome");
/// server.close();
/// assert!(!path.exists());
/// # Ok::<(), io::Error>(())
/// ```
pub fn create_unix_server<P, Kind>(
    factory: impl Fn() -> P + Send + Sync + 'static,
    path: impl AsRef<Path>,
    options: ServerOptions,
) -> io::Result<Server>
where
    P: StreamProtocol<Kind>,
    Kind: 'static,
{
    options.security.check()?;
    let path = path.as_ref();
    let address = SockAddr::unix(path)?;
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let socket = GreenSocket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&address)?;
    let file = match options.cleanup_socket {
        true => SocketFile::at(path),
        false => None,
    };
    Server::new(factory, vec![socket], file, options)
}

/// As [`create_server`], over a socket that is bound already: the parameter `sock` in asyncio. It may listen already.
///
/// # Errors
///
/// Those of `listen(2)`.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use green::asyncio::{Protocol, ServerOptions, create_server_over};
/// use green::net::{TcpListener, TcpStream};
///
/// struct Quiet;
///
/// impl Protocol for Quiet {
///     fn data_received(&mut self, _: &[u8]) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let server = create_server_over(|| Quiet, listener, ServerOptions::new())?;
/// assert_eq!(server.local_addr()?, address);
/// TcpStream::connect(address)?;
/// # Ok::<(), io::Error>(())
/// ```
pub fn create_server_over<P, Kind>(
    factory: impl Fn() -> P + Send + Sync + 'static,
    socket: impl Into<GreenSocket>,
    options: ServerOptions,
) -> io::Result<Server>
where
    P: StreamProtocol<Kind>,
    Kind: 'static,
{
    options.security.check()?;
    Server::new(factory, vec![socket.into()], None, options)
}

fn bind(address: &SocketAddr, options: &ServerOptions) -> io::Result<GreenSocket> {
    let socket = GreenSocket::new(Domain::for_address(*address), Type::STREAM, Some(Ip::TCP))?;
    socket.set_reuse_address(options.reuse_address)?;
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&(*address).into())?;
    Ok(socket)
}

/// A server made by [`create_server`] and the like: asyncio's `Server`.
///
/// Dropping it [closes](Self::close) it, as the end of asyncio's `async with` does.
///
/// # Examples
///
/// ```
/// use std::io::{self, Read};
///
/// use green::asyncio::{Protocol, ServerOptions, create_server};
/// use green::net::TcpStream;
///
/// struct Quiet;
///
/// impl Protocol for Quiet {
///     fn data_received(&mut self, _: &[u8]) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// let server = create_server(|| Quiet, "127.0.0.1:0", ServerOptions::new())?;
/// assert!(server.is_serving());
/// assert_eq!(server.sockets().len(), 1);
/// let mut client = TcpStream::connect(server.local_addr()?)?;
///
/// // Accepts nobody else, ends its connections in order, and waits for that.
/// server.close();
/// assert!(server.sockets().is_empty() && !server.is_serving());
/// server.close_clients();
/// server.wait_closed();
/// // An end, or a reset if it had not been accepted yet.
/// assert!(!matches!(client.read(&mut [0; 1]), Ok(1)));
/// # Ok::<(), io::Error>(())
/// ```
#[must_use = "dropping a server closes it"]
pub struct Server {
    listening: Arc<Listening>,
    backlog: i32,
    /// Accepts and serves the connections of a listener to its end.
    accept: Arc<dyn Fn(GreenSocket) + Send + Sync>,
}

/// What those who accept share with the server.
struct Listening {
    listeners: Vec<GreenSocket>,
    state: ShortLock<State>,
    /// Who starts to serve, which is not done under `state`: one at a time.
    starting: Mutex<()>,
    connections: Arc<Connections<Shared>>,
    file: Option<SocketFile>,
}

impl Listening {
    /// It serves from now on, unless it was closed meanwhile, which ends those who accept.
    fn begin(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        match *state {
            State::Closed => Err(ClosedLocally.into()),
            _ => {
                *state = State::Serving;
                Ok(())
            }
        }
    }

    fn close(&self) {
        if std::mem::replace(&mut *self.state.lock(), State::Closed) == State::Closed {
            return;
        }
        if let Some(file) = &self.file {
            file.remove();
        }
        for listener in &self.listeners {
            listener.close();
        }
        self.connections.changed.wake_all();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Bound,
    Serving,
    Closed,
}

impl Server {
    fn new<P, Kind>(
        factory: impl Fn() -> P + Send + Sync + 'static,
        listeners: Vec<GreenSocket>,
        file: Option<SocketFile>,
        options: ServerOptions,
    ) -> io::Result<Server>
    where
        P: StreamProtocol<Kind>,
        Kind: 'static,
    {
        let connections = Connections::new();
        let factory = Arc::new(factory);
        let security = Arc::new(options.security);
        let theirs = connections.clone();
        let server = Server {
            listening: Arc::new(Listening {
                listeners,
                state: ShortLock::new(State::Bound),
                starting: Mutex::new(()),
                connections,
                file,
            }),
            backlog: options.backlog,
            accept: Arc::new(move |listener| {
                accept_all(&listener, &factory, &security, &theirs);
            }),
        };
        if options.start_serving {
            server.start_serving()?;
        }
        Ok(server)
    }

    /// Begins to accept connections, if the server does not do so yet. A second call does nothing.
    ///
    /// # Errors
    ///
    /// Those of `listen(2)`, such as `AddrInUse`; `NotConnected` with [`ClosedLocally`] inside after
    /// [`close`](Self::close); what keeps a green thread from being started.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::{ServerOptions, start_server};
    /// use green::net::TcpStream;
    ///
    /// let options = ServerOptions::new().start_serving(false);
    /// let server = start_server(|_, _| Ok(()), "127.0.0.1:0", options)?;
    /// assert!(TcpStream::connect(server.local_addr()?).is_err());
    /// server.start_serving()?;
    /// assert!(TcpStream::connect(server.local_addr()?).is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn start_serving(&self) -> io::Result<()> {
        let listening = &self.listening;
        let _one_at_a_time = listening
            .starting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = *listening.state.lock();
        match before {
            State::Serving => return Ok(()),
            State::Closed => return Err(ClosedLocally.into()),
            State::Bound => {}
        }
        for listener in &listening.listeners {
            listener.listen(self.backlog)?;
        }
        let mut acceptors = Vec::new();
        for listener in &listening.listeners {
            let (accept, listener) = (self.accept.clone(), listener.try_clone()?);
            let builder = Builder::new().name("asyncio server".to_owned());
            match builder.spawn(move || accept(listener)) {
                Ok(acceptor) => acceptors.push(acceptor),
                Err(error) => {
                    // All or none.
                    acceptors.iter().for_each(|acceptor| drop(acceptor.kill()));
                    return Err(error);
                }
            }
        }
        listening.begin()?;
        // A server of which one is killed does not serve any more.
        for acceptor in acceptors {
            let listening = Arc::clone(listening);
            acceptor.link(move |_| listening.close());
        }
        Ok(())
    }

    /// Serves until another thread calls [`close`](Self::close). If the caller is killed or runs out of time, that
    /// closes the server too. Connections go on.
    ///
    /// # Errors
    ///
    /// Those of [`start_serving`](Self::start_serving).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// use green::asyncio::{ServerOptions, call_later, start_server};
    ///
    /// let server = Arc::new(start_server(|_, _| Ok(()), "127.0.0.1:0", ServerOptions::new())?);
    /// let theirs = server.clone();
    /// call_later(Duration::from_millis(5), move || theirs.close());
    /// server.serve_forever()?;
    /// assert!(!server.is_serving());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn serve_forever(&self) -> io::Result<()> {
        self.start_serving()?;
        struct Closing<'a>(&'a Server);
        impl Drop for Closing<'_> {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        let _closing = Closing(self);
        let open = || *self.listening.state.lock() != State::Closed;
        while open() {
            self.listening
                .connections
                .changed
                .wait("asyncio server", Deadline::NEVER, open);
        }
        Ok(())
    }

    /// Accepts no more: the listening sockets are closed. Connections go on. A second call does nothing.
    ///
    /// If the green thread that accepts is killed, the server is closed too.
    pub fn close(&self) {
        self.listening.close();
    }

    /// Waits until the server is closed and its last connection has ended, `connection_lost` included. A
    /// [`timeout`](crate::timeout()) may limit it.
    pub fn wait_closed(&self) {
        let open = || {
            *self.listening.state.lock() != State::Closed || self.listening.connections.count() > 0
        };
        while open() {
            self.listening
                .connections
                .changed
                .wait("asyncio server", Deadline::NEVER, open);
        }
    }

    /// Closes every connection in order, as [`Transport::close`](super::Transport::close) does. One in the middle of
    /// its TLS handshake is closed at once.
    pub fn close_clients(&self) {
        for transport in self.listening.connections.made() {
            transport.close();
        }
    }

    /// Closes every connection at once, as [`Transport::abort`](super::Transport::abort) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::asyncio::{
    ///     ConnectionOptions, ServerOptions, StreamReader, open_connection, start_server,
    /// };
    ///
    /// // A client that will not go.
    /// let hold = |reader: StreamReader, _writer| reader.read_to_eof().map(drop);
    /// let server = start_server(hold, "127.0.0.1:0", ServerOptions::new())?;
    /// let (reader, _writer) = open_connection(server.local_addr()?, ConnectionOptions::new())?;
    /// server.close();
    /// if green::timeout(Duration::from_millis(5), || server.wait_closed()).is_err() {
    ///     server.abort_clients();
    ///     server.wait_closed();
    /// }
    /// let _ = reader.read_to_eof();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn abort_clients(&self) {
        for transport in self.listening.connections.made() {
            transport.end(None);
        }
    }

    /// Whether connections are accepted.
    pub fn is_serving(&self) -> bool {
        *self.listening.state.lock() == State::Serving
    }

    /// The listening sockets, one for each address. None after [`close`](Self::close).
    pub fn sockets(&self) -> Vec<GreenSocket> {
        match *self.listening.state.lock() {
            State::Closed => Vec::new(),
            _ => self.listening.listeners.iter().map(handle).collect(),
        }
    }

    /// The first address listened on.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`; `InvalidInput` for a Unix socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        crate::net::ip_address(self.listening.listeners[0].local_addr()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listeners", &self.listening.listeners)
            .field("serving", &self.is_serving())
            .field("connections", &self.listening.connections.count())
            .finish_non_exhaustive()
    }
}

fn handle(socket: &GreenSocket) -> GreenSocket {
    socket.try_clone().expect("a handle to a socket is free")
}

/// Accepts until the listener is closed.
fn accept_all<P, Kind>(
    listener: &GreenSocket,
    factory: &Arc<impl Fn() -> P + Send + Sync + 'static>,
    security: &Arc<Security>,
    connections: &Arc<Connections<Shared>>,
) where
    P: StreamProtocol<Kind>,
    Kind: 'static,
{
    while !listener.is_closed() {
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            // It does not listen, or not any more.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EBADF)) => {
                return;
            }
            // One connection's: it left before it was accepted, or there was no room for it, for which accept paused.
            Err(error) => {
                log::debug!("a connection was not accepted: {error}");
                continue;
            }
        };
        let attachment = connections.attach(handle(&socket));
        let (factory, security) = (factory.clone(), security.clone());
        let serve = move || {
            // A factory's panic has been printed, and ends one connection.
            let make = || prepare(|| factory(), socket, &security, Some(attachment));
            match catch_unwind(AssertUnwindSafe(make)) {
                Ok(Ok((shared, protocol))) => {
                    let made = P::introduction(protocol.cell, Transport::of(&shared));
                    run(&shared, made);
                }
                Ok(Err(error)) => log::debug!("a connection was not made: {error}"),
                Err(payload) => greenhub::discard_panic(payload),
            }
        };
        let builder = Builder::new().name("asyncio transport".to_owned());
        if let Err(error) = builder.spawn(serve) {
            log::debug!("a connection was closed: {error}");
        }
    }
}

/// The file of a Unix socket, by which it is told whether another server has replaced it.
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> Option<SocketFile> {
        let found = fs::symlink_metadata(path).ok()?;
        Some(SocketFile {
            path: path.to_owned(),
            inode: (found.dev(), found.ino()),
        })
    }

    fn remove(&self) {
        if SocketFile::at(&self.path).is_some_and(|found| found.inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
