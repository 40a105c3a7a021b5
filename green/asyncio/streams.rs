//! Streams: connections that are read from and written to by plain calls, without a protocol.

use crate::net::ToSocketAddrs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use greenhub::greenio::GreenSocket;
use greenhub::one_line;

use super::{
    ConnectionOptions, ProtocolRef, Server, ServerOptions, Transport, create_connection,
    create_connection_over, create_server, create_server_over, create_unix_connection,
    create_unix_server,
};
use crate::thread::Builder;

mod error;
mod protocol;
mod reader;
mod writer;

pub use error::{IncompleteReadError, LimitOverrunError, ReadError};
use protocol::Feeder;
pub use reader::{Lines, StreamReader};
pub use writer::StreamWriter;

/// Connects to the first address of `address` that answers, and returns a reader and a writer.
///
/// Waits until the connection is made, TLS included.
///
/// # Errors
///
/// As [`create_connection`](super::create_connection).
///
/// # Examples
///
/// ```
/// use green::asyncio::{self, ConnectionOptions, ServerOptions};
///
/// # fn main() -> std::io::Result<()> {
/// let echo = |reader: asyncio::StreamReader, writer: asyncio::StreamWriter| {
///     for line in &reader {
///         writer.write(&line?)?;
///         writer.drain()?;
///     }
///     Ok(())
/// };
/// let server = asyncio::start_server(echo, "127.0.0.1:0", ServerOptions::new())?;
///
/// let (reader, writer) =
///     asyncio::open_connection(server.local_addr()?, ConnectionOptions::new())?;
/// writer.write(b"hello\nworld\n")?;
/// writer.write_eof()?;
/// assert_eq!(reader.readline()?, b"hello\n");
/// assert_eq!(reader.read_to_eof()?, b"world\n");
/// writer.close();
/// writer.wait_closed()
/// # }
/// ```
pub fn open_connection(
    address: impl ToSocketAddrs,
    options: ConnectionOptions,
) -> io::Result<(StreamReader, StreamWriter)> {
    open(options, |feeder, options| {
        create_connection(feeder, address, options)
    })
}

/// As [`open_connection`], to a Unix socket.
///
/// # Errors
///
/// As [`create_unix_connection`](super::create_unix_connection).
///
/// # Examples
///
/// ```
/// use green::asyncio::{ConnectionOptions, open_unix_connection};
/// use green::os::unix::net::UnixListener;
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("socket");
/// let listener = UnixListener::bind(&path)?;
/// let (reader, writer) = open_unix_connection(&path, ConnectionOptions::new())?;
/// let (mut peer, _) = listener.accept()?;
/// writer.write(b"hello")?;
/// std::io::Read::read_exact(&mut peer, &mut [0; 5])?;
/// drop(peer);
/// assert_eq!(reader.read_to_eof()?, b"");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn open_unix_connection(
    path: impl AsRef<Path>,
    options: ConnectionOptions,
) -> io::Result<(StreamReader, StreamWriter)> {
    open(options, |feeder, options| {
        create_unix_connection(feeder, path, options)
    })
}

/// As [`open_connection`], over a socket that is connected already: the parameter `sock` in asyncio.
///
/// # Errors
///
/// As [`create_connection_over`](super::create_connection_over).
///
/// # Examples
///
/// ```
/// use green::asyncio::{ConnectionOptions, open_connection_over};
/// use green::os::unix::net::UnixStream;
///
/// let (ours, theirs) = UnixStream::pair()?;
/// let (reader, _writer) = open_connection_over(ours, ConnectionOptions::new())?;
/// std::io::Write::write_all(&mut &theirs, b"a line\n")?;
/// assert_eq!(reader.readline()?, b"a line\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn open_connection_over(
    socket: impl Into<GreenSocket>,
    options: ConnectionOptions,
) -> io::Result<(StreamReader, StreamWriter)> {
    open(options, |feeder, options| {
        create_connection_over(feeder, socket, options)
    })
}

fn open(
    options: ConnectionOptions,
    create: impl FnOnce(
        Box<dyn FnOnce() -> Feeder>,
        ConnectionOptions,
    ) -> io::Result<(Transport, ProtocolRef<Feeder>)>,
) -> io::Result<(StreamReader, StreamWriter)> {
    let reader = StreamReader::with_limit(options.limit);
    let feeder = Feeder::new(&reader);
    let closed = feeder.closed.clone();
    let (transport, _) = create(Box::new(move || feeder), options)?;
    let writer = StreamWriter::new(transport, reader.clone(), closed);
    Ok((reader, writer))
}

/// Listens on every address of `address`, and runs `client_connected` on a green thread of its own for each connection.
///
/// The connection is closed when the writer is dropped: at the latest when `client_connected` has returned or panicked.
/// An error that it returns is logged.
///
/// # Errors
///
/// As [`create_server`](super::create_server).
///
/// # Examples
///
/// See [`open_connection`].
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::Shutdown;
///
/// use green::asyncio::{ServerOptions, StreamReader, StreamWriter, start_server};
/// use green::net::TcpStream;
///
/// let backwards = |reader: StreamReader, writer: StreamWriter| {
///     let mut message = reader.read_to_eof()?;
///     message.reverse();
///     writer.write(&message)
/// };
/// let server = start_server(backwards, "127.0.0.1:0", ServerOptions::new())?;
/// let mut client = TcpStream::connect(server.local_addr()?)?;
/// client.write_all(b"stressed")?;
/// client.shutdown(Shutdown::Write)?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert_eq!(answer, "desserts");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn start_server<F>(
    client_connected: F,
    address: impl ToSocketAddrs,
    options: ServerOptions,
) -> io::Result<Server>
where
    F: Fn(StreamReader, StreamWriter) -> io::Result<()> + Send + Sync + 'static,
{
    create_server(serving(client_connected, &options), address, options)
}

/// As [`start_server`], on a Unix socket.
///
/// # Errors
///
/// As [`create_unix_server`](super::create_unix_server).
///
/// # Examples
///
/// ```
/// use green::asyncio::{self, ConnectionOptions, ServerOptions};
///
/// # fn main() -> std::io::Result<()> {
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("time");
/// let answer = |_, writer: asyncio::StreamWriter| writer.write(b"noon");
/// let _server = asyncio::start_unix_server(answer, &path, ServerOptions::new())?;
///
/// let (reader, _writer) = asyncio::open_unix_connection(&path, ConnectionOptions::new())?;
/// assert_eq!(reader.read_to_eof()?, b"noon");
/// # Ok(())
/// # }
/// ```
pub fn start_unix_server<F>(
    client_connected: F,
    path: impl AsRef<Path>,
    options: ServerOptions,
) -> io::Result<Server>
where
    F: Fn(StreamReader, StreamWriter) -> io::Result<()> + Send + Sync + 'static,
{
    create_unix_server(serving(client_connected, &options), path, options)
}

/// As [`start_server`], over a socket that is bound already: the parameter `sock` in asyncio.
///
/// # Errors
///
/// As [`create_server_over`](super::create_server_over).
///
/// # Examples
///
/// ```
/// use green::asyncio::{
///     ConnectionOptions, ServerOptions, StreamReader, StreamWriter, open_connection,
///     start_server_over,
/// };
/// use green::net::TcpListener;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let answer = |_: StreamReader, writer: StreamWriter| writer.write(b"noon");
/// let _server = start_server_over(answer, listener, ServerOptions::new())?;
/// let (reader, _writer) = open_connection(address, ConnectionOptions::new())?;
/// assert_eq!(reader.read_to_eof()?, b"noon");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn start_server_over<F>(
    client_connected: F,
    socket: impl Into<GreenSocket>,
    options: ServerOptions,
) -> io::Result<Server>
where
    F: Fn(StreamReader, StreamWriter) -> io::Result<()> + Send + Sync + 'static,
{
    create_server_over(serving(client_connected, &options), socket, options)
}

/// Makes the protocol of each connection, which starts `client_connected`.
fn serving<F>(
    client_connected: F,
    options: &ServerOptions,
) -> impl Fn() -> Feeder + Send + Sync + 'static
where
    F: Fn(StreamReader, StreamWriter) -> io::Result<()> + Send + Sync + 'static,
{
    let (client_connected, limit) = (Arc::new(client_connected), options.limit);
    move || {
        let mut feeder = Feeder::new(&StreamReader::with_limit(limit));
        let (reader, closed) = (feeder.reader.clone(), feeder.closed.clone());
        let client_connected = Arc::clone(&client_connected);
        feeder.connected = Some(Box::new(move |transport| {
            let writer = StreamWriter::new(transport, reader.clone(), closed);
            let serve = move || {
                if let Err(error) = client_connected(reader, writer) {
                    log::warn!("the handler of a connection failed: {}", one_line(error));
                }
            };
            let builder = Builder::new().name("asyncio connection".to_owned());
            builder.spawn(serve).map(drop)
        }));
        feeder
    }
}
