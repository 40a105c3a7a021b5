//! Connections made from this end, and those that somebody else accepted.

use crate::net::ToSocketAddrs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use greenhub::greenio::{Domain, GreenSocket, Protocol as Ip, SockAddr, Type};

use super::cell::{Cell, ProtocolRef};
use super::connections::Attachment;
use super::options::{ConnectionOptions, Security, ServerOptions};
use super::protocol::StreamProtocol;
use super::transport::{Link, Shared, Transport, run};
use crate::net::resolve::each_address;
use crate::thread::Builder;

mod datagram;

pub use datagram::{DatagramOptions, create_datagram_endpoint, create_datagram_endpoint_over};

/// What a function that makes a connection returns: its transport, and a handle to its protocol.
pub type Connected<P> = io::Result<(Transport, ProtocolRef<P>)>;

/// Connects to the first address of `address` that answers; a protocol made by `factory` serves the connection.
///
/// Waits until the connection is made, TLS included, and `connection_made` has returned. The protocol is then called on
/// a green thread of its own; the caller can look at it through the [`ProtocolRef`]. TCP sends small pieces at once
/// (TCP_NODELAY), as in asyncio.
///
/// # Errors
///
/// Those of [`TcpStream::connect`](crate::net::TcpStream::connect) and of
/// [`GreenSslSocket::do_handshake`](crate::ssl::GreenSslSocket::do_handshake); `OutOfMemory` if there is no room for
/// another green thread. The protocol is not called then.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use green::asyncio::{self, ConnectionOptions, Protocol, ServerOptions, Transport};
///
/// struct Shout(Option<Transport>);
///
/// impl Protocol for Shout {
///     fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
///         self.0 = Some(transport);
///         Ok(())
///     }
///
///     fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
///         self.0.as_ref().unwrap().write(&data.to_ascii_uppercase())
///     }
/// }
///
/// struct Ask {
///     heard: Vec<u8>,
///     done: asyncio::Future<Vec<u8>>,
/// }
///
/// impl Protocol for Ask {
///     fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
///         transport.write(b"hello")?;
///         transport.write_eof()
///     }
///
///     fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
///         self.heard.extend(data);
///         Ok(())
///     }
///
///     fn connection_lost(&mut self, _: Option<io::Error>) {
///         let _ = self.done.set_result(std::mem::take(&mut self.heard));
///     }
/// }
///
/// # fn main() -> io::Result<()> {
/// let server = asyncio::create_server(|| Shout(None), "127.0.0.1:0", ServerOptions::new())?;
/// let address = server.local_addr()?;
///
/// let done = asyncio::Future::new();
/// let ask = Ask { heard: Vec::new(), done: done.clone() };
/// let (_transport, _protocol) =
///     asyncio::create_connection(|| ask, address, ConnectionOptions::new())?;
/// assert_eq!(done.wait(None).unwrap(), b"HELLO");
/// # Ok(())
/// # }
/// ```
pub fn create_connection<P, Kind>(
    factory: impl FnOnce() -> P,
    address: impl ToSocketAddrs,
    options: ConnectionOptions,
) -> Connected<P>
where
    P: StreamProtocol<Kind>,
{
    let socket = each_address(address, |address| connect(address, options.local_address))?;
    launch(factory, socket, &options.security)
}

/// As [`create_connection`], to a Unix socket.
///
/// # Errors
///
/// Those of [`UnixStream::connect`](crate::os::unix::net::UnixStream::connect) and of the TLS handshake.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use green::asyncio::{
///     ConnectionOptions, Future, Protocol, ServerOptions, StreamReader, StreamWriter, Transport,
///     create_unix_connection, start_unix_server,
/// };
///
/// struct Ask(Future<Vec<u8>>);
///
/// impl Protocol for Ask {
///     fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
///         transport.write(b"hello\n")
///     }
///
///     fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
///         Ok(self.0.set_result(data.to_vec())?)
///     }
/// }
///
/// # fn main() -> io::Result<()> {
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("socket");
/// let echo = |reader: StreamReader, writer: StreamWriter| writer.write(&reader.readline()?);
/// let _server = start_unix_server(echo, &path, ServerOptions::new())?;
///
/// let answer = Future::new();
/// create_unix_connection(|| Ask(answer.clone()), &path, ConnectionOptions::new())?;
/// assert_eq!(answer.wait(None)?, b"hello\n");
/// # Ok(())
/// # }
/// ```
pub fn create_unix_connection<P, Kind>(
    factory: impl FnOnce() -> P,
    path: impl AsRef<Path>,
    options: ConnectionOptions,
) -> Connected<P>
where
    P: StreamProtocol<Kind>,
{
    let socket = GreenSocket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.connect(&SockAddr::unix(path)?)?;
    launch(factory, socket, &options.security)
}

/// As [`create_connection`], over a socket that is connected already: the parameter `sock` in asyncio.
///
/// # Errors
///
/// Those of the TLS handshake.
///
/// # Examples
///
/// ```
/// use std::io::{self, Read};
///
/// use green::asyncio::{ConnectionOptions, Protocol, Transport, create_connection_over};
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
/// let (ours, mut theirs) = UnixStream::pair()?;
/// create_connection_over(|| Greet, ours, ConnectionOptions::new())?;
/// let mut heard = String::new();
/// theirs.read_to_string(&mut heard)?;
/// assert_eq!(heard, "welcome");
/// # Ok::<(), io::Error>(())
/// ```
pub fn create_connection_over<P, Kind>(
    factory: impl FnOnce() -> P,
    socket: impl Into<GreenSocket>,
    options: ConnectionOptions,
) -> Connected<P>
where
    P: StreamProtocol<Kind>,
{
    launch(factory, socket.into(), &options.security)
}

/// Serves a connection that was accepted by other means, as a [server](super::create_server) serves those that it
/// accepts. Of the options only those for TLS matter.
///
/// # Errors
///
/// Those of the TLS handshake, in the server's part.
///
/// # Examples
///
/// ```
/// use std::io::{self, Read, Write};
///
/// use green::asyncio::{Protocol, ServerOptions, Transport, connect_accepted_socket};
/// use green::net::{TcpListener, TcpStream};
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
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut client = TcpStream::connect(listener.local_addr()?)?;
/// let (accepted, _) = listener.accept()?;
/// let (transport, _) = connect_accepted_socket(Echo::default, accepted, ServerOptions::new())?;
/// client.write_all(b"hello")?;
/// let mut echo = [0; 5];
/// client.read_exact(&mut echo)?;
/// assert_eq!(&echo, b"hello");
/// transport.close();
/// # Ok::<(), io::Error>(())
/// ```
pub fn connect_accepted_socket<P, Kind>(
    factory: impl FnOnce() -> P,
    socket: impl Into<GreenSocket>,
    options: ServerOptions,
) -> Connected<P>
where
    P: StreamProtocol<Kind>,
{
    launch(factory, socket.into(), &options.security)
}

fn connect(address: &SocketAddr, local: Option<SocketAddr>) -> io::Result<GreenSocket> {
    let socket = GreenSocket::new(Domain::for_address(*address), Type::STREAM, Some(Ip::TCP))?;
    if let Some(local) = local {
        socket.bind(&local.into())?;
    }
    socket.connect(&(*address).into())?;
    Ok(socket)
}

/// Does the handshake, and starts the connection's own green thread.
fn launch<P, Kind>(
    factory: impl FnOnce() -> P,
    socket: GreenSocket,
    security: &Security,
) -> Connected<P>
where
    P: StreamProtocol<Kind>,
{
    security.check()?;
    let (shared, protocol) = prepare(factory, socket, security, None)?;
    let transport = Transport::of(&shared);
    let readers = shared.clone();
    let made = P::introduction(Arc::clone(&protocol.cell), transport.clone());
    let builder = Builder::new().name("asyncio transport".to_owned());
    let reader = builder.spawn(move || run(&readers, made))?;
    shared.is_read_by(&reader);
    // One who is killed here has nobody left to use the connection.
    let abandoned = WhenUnwound(|| transport.abort());
    let made = shared.wait_until_made();
    std::mem::forget(abandoned);
    made.map(|()| (transport, protocol))
}

/// Does the handshake, and puts together what the connection's reader serves.
pub(super) fn prepare<P, Kind>(
    factory: impl FnOnce() -> P,
    socket: GreenSocket,
    security: &Security,
    attachment: Option<Attachment<Shared>>,
) -> io::Result<(Arc<Shared>, ProtocolRef<P>)>
where
    P: StreamProtocol<Kind>,
{
    adopt(&socket)?;
    // Other families have no such option.
    let _ = socket.set_nodelay(true);
    let (link, extra) = Link::open(socket, security, &[])?;
    let cell = Cell::new(factory());
    let callbacks = P::callbacks(cell.clone());
    let shared = Shared::new(
        link,
        callbacks,
        extra,
        security.shutdown_timeout,
        attachment,
    );
    Ok((shared, ProtocolRef { cell }))
}

/// Makes a socket wait as long as it takes, whatever its former owner set.
fn adopt(socket: &GreenSocket) -> io::Result<()> {
    socket.set_nonblocking(false);
    socket.set_read_timeout(None)?;
    socket.set_write_timeout(None)
}

/// Called unless it is forgotten.
struct WhenUnwound<F: Fn()>(F);

impl<F: Fn()> Drop for WhenUnwound<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
