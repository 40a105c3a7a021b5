//! A client or a server in one call: eventlet's `connect`, `listen`, `serve` and `wrap_ssl`.
//!
//! ```
//! use std::io::{self, Read, Write};
//!
//! use green::net::TcpStream;
//!
//! /// An error ends this connection, and is logged.
//! fn greet(mut stream: TcpStream) -> io::Result<()> {
//!     let mut name = String::new();
//!     stream.read_to_string(&mut name)?;
//!     write!(stream, "hello, {name}")
//! }
//!
//! # fn main() -> io::Result<()> {
//! let listener = green::listen("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! // A thousand connections at once, and for ever.
//! green::thread::spawn(|| green::serve(listener, |stream, _peer| greet(stream), 1000));
//!
//! let mut client = green::connect(address)?;
//! client.write_all(b"you")?;
//! client.shutdown(std::net::Shutdown::Write)?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert_eq!(answer, "hello, you");
//! # Ok(())
//! # }
//! ```

use crate::net::ToSocketAddrs;
use std::io;

mod connect;
mod connections;
mod handed;
mod listen;
mod outcome;
#[cfg(feature = "proxy-protocol")]
mod proxied;
mod server;
#[cfg(feature = "signal")]
mod signals;
#[cfg(feature = "tls")]
mod tls;

pub use connect::Connect;
pub use handed::{HandOver, Handed};
pub use listen::{Accept, Listen};
pub use outcome::{Outcome, StopServe};
#[cfg(feature = "proxy-protocol")]
pub use proxied::ProxyProtocol;
pub use server::{Counters, Served, Server, StopHandle};
#[cfg(all(feature = "http", feature = "signal"))]
pub(crate) use signals::StopSignals;
#[cfg(feature = "tls")]
pub use tls::wrap_ssl;

use crate::net::{TcpListener, TcpStream};

/// Connects to the first address of `addr` that answers; [`Connect`] has options.
///
/// ```
/// use std::io::{Read, Write};
///
/// let listener = green::listen("127.0.0.1:0")?;
/// let mut client = green::connect(listener.local_addr()?)?;
/// listener.accept()?.0.write_all(b"hello")?;
/// let mut words = String::new();
/// client.read_to_string(&mut words)?;
/// assert_eq!(words, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// Those of [`TcpStream::connect`].
pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
    Connect::new().to(addr)
}

/// Listens on the first address of `addr` that can be bound; [`Listen`] has options.
///
/// ```
/// let listener = green::listen("127.0.0.1:0")?;
/// let stream = green::connect(listener.local_addr()?)?;
/// let (_accepted, peer) = listener.accept()?;
/// assert_eq!(peer, stream.local_addr()?);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// Those of [`TcpListener::bind`].
pub fn listen<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
    Listen::new().tcp(addr)
}

/// Calls `handler` on a green thread of its own for each connection, at most `concurrency` at once,
/// until one of them returns [`StopServe`]. Then those under way have 30 s to finish.
///
/// [`Server`] does the same with more settings: a handle to stop it from outside, and another time
/// to finish. Its page has the details.
///
/// ```
/// use std::io::{Read, Write};
///
/// use green::convenience::StopServe;
///
/// let listener = green::listen("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let server = green::thread::spawn(|| {
///     green::serve(
///         listener,
///         |mut stream, _| {
///             let mut order = [0];
///             let _ = stream.read_exact(&mut order).and_then(|()| stream.write_all(&order));
///             match &order {
///                 b"q" => Err(StopServe::new()),
///                 _ => Ok(()),
///             }
///         },
///         100,
///     )
/// });
/// for order in *b"abq" {
///     let mut client = green::connect(address)?;
///     client.write_all(&[order])?;
///     let mut answer = Vec::new();
///     client.read_to_end(&mut answer)?;
///     assert_eq!(answer, [order]);
/// }
/// server.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// Those of [`Server::run`].
///
/// # Differences from eventlet
///
/// A connection that fails does not end the server: a handler that wants that returns
/// [`StopServe::because`]. When eventlet's server stops, it does not wait for the connections under
/// way.
pub fn serve<L, H, O>(listener: L, handler: H, concurrency: usize) -> io::Result<()>
where
    L: Accept,
    H: Fn(L::Stream, L::Address) -> O + Send + Sync + 'static,
    O: Outcome,
{
    Server::new(listener)
        .concurrency(concurrency)
        .run(handler)
        .map(drop)
}
