//! Protocols: what a program does with the bytes of a connection.
//!
//! A transport calls its protocol in this order and no other:
//!
//! ```text
//! connection_made  ( data_received | pause_writing, resume_writing )*  eof_received?  connection_lost
//! ```
//!
//! `connection_lost` comes exactly once, whatever ended the connection, and nothing after it. If the TLS handshake
//! fails, no connection was made, and none of them is called.
//!
//! # On which thread
//!
//! Each connection has one green thread that receives and makes all its calls, so they never run at the same time. They
//! may wait, as any code on a green thread may: what the peer sends meanwhile waits in the kernel, and other connections
//! go on.
//!
//! # Errors and panics
//!
//! An error that a call returns ends the connection at once, as an exception does in asyncio: the next call is
//! `connection_lost` with that error. A panic does the same, with an error that has its message. A
//! [`ClosedLocally`](crate::ClosedLocally) error of the protocol's own transport changes nothing: it is closing
//! already.
//!
//! # Examples
//!
//! ```
//! use std::io::{self, Read, Write};
//!
//! use green::asyncio::{ConnectionOptions, Protocol, Transport, create_connection_over};
//! use green::os::unix::net::UnixStream;
//!
//! /// Says what it hears, and closes at the peer's end.
//! #[derive(Default)]
//! struct Echo(Option<Transport>);
//!
//! impl Protocol for Echo {
//!     fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
//!         self.0 = Some(transport);
//!         Ok(())
//!     }
//!
//!     fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
//!         self.0.as_ref().unwrap().write(data)
//!     }
//! }
//!
//! let (near, mut far) = UnixStream::pair()?;
//! create_connection_over(Echo::default, near, ConnectionOptions::new())?;
//! far.write_all(b"hello")?;
//! far.shutdown(std::net::Shutdown::Write)?;
//! let mut answer = String::new();
//! far.read_to_string(&mut answer)?;
//! assert_eq!(answer, "hello");
//! # Ok::<(), io::Error>(())
//! ```

use std::io;

use greenhub::greenio::SockAddr;

use super::datagram::DatagramTransport;
pub use super::panicked::ProtocolPanicked;
use super::transport::Transport;

/// What the callbacks of every kind of protocol are alike: `self.0` is the cell that it lives in.
macro_rules! shared_callbacks {
    () => {
        fn lost(&self, error: Option<io::Error>) -> io::Result<()> {
            let mut using = self.0.lock();
            guarded(|| {
                using.protocol.connection_lost(error);
                Ok(())
            })
        }

        fn paused(&self, paused: bool) -> io::Result<()> {
            let mut using = self.0.lock();
            guarded(|| {
                match paused {
                    true => using.protocol.pause_writing(),
                    false => using.protocol.resume_writing(),
                }
                Ok(())
            })
        }

        fn cell(&self) -> Arc<dyn Any + Send + Sync> {
            Arc::clone(&self.0) as _
        }
    };
}

mod datagram;
mod stream;

pub(super) use datagram::Served;
pub use stream::{OwnBuffer, Pieces, StreamProtocol};

/// What to do with the bytes of a connection: asyncio's `Protocol`.
///
/// The [module](self) says in which order the calls come, and which thread makes them.
///
/// ```
/// use std::io;
///
/// use green::asyncio::{Protocol, Transport};
///
/// #[derive(Default)]
/// struct Echo {
///     transport: Option<Transport>,
/// }
///
/// impl Protocol for Echo {
///     fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
///         self.transport = Some(transport);
///         Ok(())
///     }
///
///     fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
///         self.transport.as_ref().unwrap().write(data)
///     }
/// }
/// ```
pub trait Protocol: Send + 'static {
    /// The connection is made, and its TLS handshake is done. Keep the transport, to write to it.
    ///
    /// # Errors
    ///
    /// Any; it ends the connection.
    fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
        let _ = transport;
        Ok(())
    }

    /// Bytes have come: at least one. Where they are cut has no meaning.
    ///
    /// # Errors
    ///
    /// Any; it ends the connection.
    fn data_received(&mut self, data: &[u8]) -> io::Result<()>;

    /// The peer has ended its direction, and will send nothing more.
    ///
    /// With `false`, the default, the transport closes itself once everything was sent. `true` keeps our direction
    /// open; then the program has to close it. Over TLS the result has no effect, as in asyncio.
    ///
    /// # Errors
    ///
    /// Any; it ends the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{self, Read, Write};
    /// use std::net::Shutdown;
    ///
    /// use green::asyncio::{ConnectionOptions, Protocol, Transport, create_connection_over};
    /// use green::os::unix::net::UnixStream;
    ///
    /// /// Answers when it has heard everything.
    /// #[derive(Default)]
    /// struct Count(usize, Option<Transport>);
    ///
    /// impl Protocol for Count {
    ///     fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
    ///         self.1 = Some(transport);
    ///         Ok(())
    ///     }
    ///
    ///     fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
    ///         self.0 += data.len();
    ///         Ok(())
    ///     }
    ///
    ///     fn eof_received(&mut self) -> io::Result<bool> {
    ///         let transport = self.1.as_ref().unwrap();
    ///         transport.write(self.0.to_string().as_bytes())?;
    ///         transport.close();
    ///         Ok(true)
    ///     }
    /// }
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// create_connection_over(Count::default, ours, ConnectionOptions::new())?;
    /// theirs.write_all(b"how long is this?")?;
    /// theirs.shutdown(Shutdown::Write)?;
    /// let mut answer = String::new();
    /// theirs.read_to_string(&mut answer)?;
    /// assert_eq!(answer, "17");
    /// # Ok::<(), io::Error>(())
    /// ```
    fn eof_received(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    /// The connection is over. `None`: it was closed or aborted at this end, or the peer ended it in order. This is the
    /// last call; after it the transport forgets the protocol.
    fn connection_lost(&mut self, error: Option<io::Error>) {
        let _ = error;
    }

    /// More than the high mark waits to be sent: stop writing, if you can. Alternates with
    /// [`resume_writing`](Self::resume_writing).
    ///
    /// # Differences from asyncio
    ///
    /// It is not called inside [`write`](Transport::write) but after the call under way has returned, and not at all if
    /// the peer has taken the bytes by then. Code that waits may call [`drain`](Transport::drain) instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{self, Read};
    ///
    /// use green::asyncio::{ConnectionOptions, Future, Protocol, create_connection_over};
    /// use green::os::unix::net::UnixStream;
    ///
    /// struct Source {
    ///     full: Future<()>,
    ///     empty: Future<()>,
    /// }
    ///
    /// impl Protocol for Source {
    ///     fn data_received(&mut self, _: &[u8]) -> io::Result<()> {
    ///         Ok(())
    ///     }
    ///
    ///     fn pause_writing(&mut self) {
    ///         self.full.set_result(()).unwrap();
    ///     }
    ///
    ///     fn resume_writing(&mut self) {
    ///         self.empty.set_result(()).unwrap();
    ///     }
    /// }
    ///
    /// let (full, empty) = (Future::new(), Future::new());
    /// let source = Source { full: full.clone(), empty: empty.clone() };
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let (transport, _) = create_connection_over(|| source, ours, ConnectionOptions::new())?;
    /// transport.write(&vec![7; 3_000_000])?;
    /// full.wait(None)?;
    /// theirs.read_exact(&mut vec![0; 3_000_000])?;
    /// empty.wait(None)?;
    /// assert_eq!(transport.get_write_buffer_size(), 0);
    /// # Ok::<(), io::Error>(())
    /// ```
    fn pause_writing(&mut self) {}

    /// No more than the low mark waits to be sent.
    fn resume_writing(&mut self) {}
}

/// As [`Protocol`], for protocols that have their own buffer to receive into: asyncio's `BufferedProtocol`.
///
/// A plain connection is received straight into the buffer; from TLS the bytes are copied once.
///
/// # Examples
///
/// ```
/// use std::io::{self, Write};
///
/// use green::asyncio::{BufferedProtocol, ConnectionOptions, Future, create_connection_over};
/// use green::os::unix::net::UnixStream;
///
/// /// Fills ten bytes.
/// struct Fill {
///     room: [u8; 11],
///     filled: usize,
///     done: Future<[u8; 11]>,
/// }
///
/// impl BufferedProtocol for Fill {
///     fn get_buffer(&mut self, _size_hint: usize) -> &mut [u8] {
///         &mut self.room[self.filled..]
///     }
///
///     fn buffer_updated(&mut self, count: usize) -> io::Result<()> {
///         self.filled += count;
///         if self.filled == self.room.len() {
///             self.done.set_result(self.room)?;
///             self.filled = 0;
///         }
///         Ok(())
///     }
/// }
///
/// let done = Future::new();
/// let fill = Fill { room: [0; 11], filled: 0, done: done.clone() };
/// let (ours, mut theirs) = UnixStream::pair()?;
/// create_connection_over(|| fill, ours, ConnectionOptions::new())?;
/// theirs.write_all(b"in two ")?;
/// theirs.write_all(b"goes")?;
/// assert_eq!(&done.wait(None)?, b"in two goes");
/// # Ok::<(), io::Error>(())
/// ```
pub trait BufferedProtocol: Send + 'static {
    /// As [`Protocol::connection_made`].
    ///
    /// # Errors
    ///
    /// Any; it ends the connection.
    fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
        let _ = transport;
        Ok(())
    }

    /// Returns the buffer for the next bytes. `size_hint` is how many are known to wait, 0 if that is not known; the
    /// buffer may be shorter or longer. A [`buffer_updated`](Self::buffer_updated) need not follow.
    ///
    /// An empty buffer is a mistake that ends the connection, with `InvalidInput`.
    fn get_buffer(&mut self, size_hint: usize) -> &mut [u8];

    /// The first `count` bytes of the buffer, at least one, have been filled.
    ///
    /// # Errors
    ///
    /// Any; it ends the connection.
    fn buffer_updated(&mut self, count: usize) -> io::Result<()>;

    /// As [`Protocol::eof_received`].
    ///
    /// # Errors
    ///
    /// Any; it ends the connection.
    fn eof_received(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    /// As [`Protocol::connection_lost`].
    fn connection_lost(&mut self, error: Option<io::Error>) {
        let _ = error;
    }

    /// As [`Protocol::pause_writing`].
    fn pause_writing(&mut self) {}

    /// As [`Protocol::resume_writing`].
    fn resume_writing(&mut self) {}
}

/// What to do with datagrams: asyncio's `DatagramProtocol`.
///
/// `connection_made` comes first and `connection_lost` last, exactly once.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use green::asyncio::{DatagramOptions, DatagramProtocol, Future, create_datagram_endpoint};
/// use green::greenio::SockAddr;
/// use green::net::UdpSocket;
///
/// struct Hear(Future<(Vec<u8>, SockAddr)>);
///
/// impl DatagramProtocol for Hear {
///     fn datagram_received(&mut self, data: &[u8], from: &SockAddr) -> io::Result<()> {
///         Ok(self.0.set_result((data.to_vec(), from.clone()))?)
///     }
///
///     fn error_received(&mut self, error: io::Error) {
///         println!("{error}");
///     }
///
///     fn connection_lost(&mut self, error: Option<io::Error>) {
///         println!("closed: {error:?}");
///     }
/// }
///
/// let heard = Future::new();
/// let options = DatagramOptions::new().local_addr(([127, 0, 0, 1], 0).into());
/// let (endpoint, _) = create_datagram_endpoint(|| Hear(heard.clone()), options)?;
/// let address = endpoint.get_extra_info().sockname().unwrap().as_socket().unwrap();
/// let peer = UdpSocket::bind("127.0.0.1:0")?;
/// peer.send_to(b"a datagram", address)?;
/// let (data, from) = heard.wait(None)?;
/// assert_eq!(data, b"a datagram");
/// assert_eq!(from.as_socket(), peer.local_addr().ok());
/// endpoint.close();
/// # Ok::<(), io::Error>(())
/// ```
pub trait DatagramProtocol: Send + 'static {
    /// The socket is open.
    ///
    /// # Errors
    ///
    /// Any; it ends the transport.
    fn connection_made(&mut self, transport: DatagramTransport) -> io::Result<()> {
        let _ = transport;
        Ok(())
    }

    /// A datagram has come. It may be empty.
    ///
    /// # Errors
    ///
    /// Any; it ends the transport.
    fn datagram_received(&mut self, data: &[u8], from: &SockAddr) -> io::Result<()>;

    /// An earlier datagram, or receiving, met an error, such as `ConnectionRefused` from a connected peer's machine.
    /// The transport goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    ///
    /// use green::asyncio::{DatagramOptions, DatagramProtocol, Future, create_datagram_endpoint};
    /// use green::greenio::SockAddr;
    /// use green::net::UdpSocket;
    ///
    /// struct Told(Future<io::ErrorKind>);
    ///
    /// impl DatagramProtocol for Told {
    ///     fn datagram_received(&mut self, _: &[u8], _: &SockAddr) -> io::Result<()> {
    ///         Ok(())
    ///     }
    ///
    ///     fn error_received(&mut self, error: io::Error) {
    ///         assert!(error.raw_os_error().is_some());
    ///         self.0.set_result(error.kind()).unwrap();
    ///     }
    /// }
    ///
    /// let told = Future::new();
    /// let peer = UdpSocket::bind("127.0.0.1:0")?;
    /// let options = DatagramOptions::new().remote_addr(peer.local_addr()?);
    /// let (endpoint, _) = create_datagram_endpoint(|| Told(told.clone()), options)?;
    /// // Longer than any datagram of UDP.
    /// endpoint.send(&[7; 70_000])?;
    /// told.wait(None)?;
    /// assert!(!endpoint.is_closing());
    /// # Ok::<(), io::Error>(())
    /// ```
    fn error_received(&mut self, error: io::Error) {
        let _ = error;
    }

    /// The transport is closed.
    fn connection_lost(&mut self, error: Option<io::Error>) {
        let _ = error;
    }

    /// As [`Protocol::pause_writing`].
    fn pause_writing(&mut self) {}

    /// As [`Protocol::resume_writing`].
    fn resume_writing(&mut self) {}
}
