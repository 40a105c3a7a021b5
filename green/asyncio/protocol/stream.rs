//! Either kind of a stream's protocol, as its transport calls it.

use std::any::Any;
use std::io;
use std::sync::Arc;

use super::super::cell::{Cell, ProtocolRef};
use super::super::panicked::guarded;
use super::super::transport::{Callbacks, Receive, Transport};
use super::{BufferedProtocol, Protocol};

/// Tells [`StreamProtocol`] that a type is a [`Protocol`].
///
/// ```
/// use std::io;
///
/// use green::asyncio::protocol::{Pieces, StreamProtocol};
/// use green::asyncio::Protocol;
///
/// struct Hear;
///
/// impl Protocol for Hear {
///     fn data_received(&mut self, _: &[u8]) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// // Both kinds go where a `StreamProtocol` is asked for; this takes one of them.
/// fn take(_: impl StreamProtocol<Pieces>) {}
///
/// take(Hear);
/// ```
#[derive(Debug)]
pub enum Pieces {}

/// Tells [`StreamProtocol`] that a type is a [`BufferedProtocol`].
///
/// ```
/// use std::io;
///
/// use green::asyncio::protocol::{OwnBuffer, StreamProtocol};
/// use green::asyncio::BufferedProtocol;
///
/// struct Hear([u8; 100]);
///
/// impl BufferedProtocol for Hear {
///     fn get_buffer(&mut self, _: usize) -> &mut [u8] {
///         &mut self.0
///     }
///
///     fn buffer_updated(&mut self, _: usize) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// // Both kinds go where a `StreamProtocol` is asked for; this takes one of them.
/// fn take(_: impl StreamProtocol<OwnBuffer>) {}
///
/// take(Hear([0; 100]));
/// ```
#[derive(Debug)]
pub enum OwnBuffer {}

/// A [`Protocol`] or a [`BufferedProtocol`]: what the transport of a stream takes. `Kind` is found by the compiler.
///
/// It has no methods for users, and cannot be implemented by them.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use green::asyncio::{
///     BufferedProtocol, ConnectionOptions, Protocol, StreamProtocol, Transport,
///     create_connection_over,
/// };
/// use green::os::unix::net::UnixStream;
///
/// /// Has either kind of protocol serve one end of a pair.
/// fn serve<Kind, P: StreamProtocol<Kind>>(protocol: P) -> io::Result<(Transport, UnixStream)> {
///     let (ours, theirs) = UnixStream::pair()?;
///     let made = create_connection_over(|| protocol, ours, ConnectionOptions::new())?;
///     Ok((made.0, theirs))
/// }
///
/// struct InPieces;
///
/// impl Protocol for InPieces {
///     fn data_received(&mut self, _: &[u8]) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// struct InABuffer([u8; 100]);
///
/// impl BufferedProtocol for InABuffer {
///     fn get_buffer(&mut self, _: usize) -> &mut [u8] {
///         &mut self.0
///     }
///
///     fn buffer_updated(&mut self, _: usize) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// let (one, _peer) = serve(InPieces)?;
/// let (two, _other) = serve(InABuffer([0; 100]))?;
/// assert!(one.get_protocol::<InPieces>().is_some());
/// assert!(two.get_protocol::<InABuffer>().is_some());
/// # Ok::<(), io::Error>(())
/// ```
pub trait StreamProtocol<Kind>: Send + Sized + 'static + sealed::StreamProtocol<Kind> {}

impl<P: sealed::StreamProtocol<Kind>, Kind> StreamProtocol<Kind> for P {}

pub(in super::super) mod sealed {
    use super::{
        Arc, BufferedProtocol, Callbacks, Cell, InPieces, IntoOwnBuffer, OwnBuffer, Pieces,
        Protocol, Transport, guarded, io,
    };

    pub type Introduction = Box<dyn FnOnce() -> io::Result<()> + Send>;

    pub trait StreamProtocol<Kind>: Send + Sized + 'static {
        #[doc(hidden)]
        fn callbacks(cell: Arc<Cell<Self>>) -> Arc<dyn Callbacks>;

        /// The call that tells the protocol of its connection.
        #[doc(hidden)]
        fn introduction(cell: Arc<Cell<Self>>, transport: Transport) -> Introduction;
    }

    impl<P: Protocol> StreamProtocol<Pieces> for P {
        fn callbacks(cell: Arc<Cell<P>>) -> Arc<dyn Callbacks> {
            Arc::new(InPieces(cell))
        }

        fn introduction(cell: Arc<Cell<P>>, transport: Transport) -> Introduction {
            Box::new(move || {
                let mut using = cell.lock();
                guarded(|| using.protocol.connection_made(transport))
            })
        }
    }

    impl<P: BufferedProtocol> StreamProtocol<OwnBuffer> for P {
        fn callbacks(cell: Arc<Cell<P>>) -> Arc<dyn Callbacks> {
            Arc::new(IntoOwnBuffer(cell))
        }

        fn introduction(cell: Arc<Cell<P>>, transport: Transport) -> Introduction {
            Box::new(move || {
                let mut using = cell.lock();
                guarded(|| using.protocol.connection_made(transport))
            })
        }
    }
}

impl Transport {
    /// Replaces the protocol of this connection. From now on callbacks go to the new one, which gets no
    /// `connection_made`. If another thread calls this, a callback that runs or is about to run still goes to the
    /// old one.
    ///
    /// # Errors
    ///
    /// `NotConnected` if `connection_lost` has been called; the protocol is dropped then.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{self, Read, Write};
    ///
    /// use green::asyncio::{ConnectionOptions, Protocol, Transport, create_connection_over};
    /// use green::os::unix::net::UnixStream;
    ///
    /// /// Waits for a greeting, and leaves the rest to another.
    /// struct Greet(Option<Transport>);
    ///
    /// impl Protocol for Greet {
    ///     fn connection_made(&mut self, transport: Transport) -> io::Result<()> {
    ///         self.0 = Some(transport);
    ///         Ok(())
    ///     }
    ///
    ///     fn data_received(&mut self, _: &[u8]) -> io::Result<()> {
    ///         let transport = self.0.take().unwrap();
    ///         transport.set_protocol(Echo(transport.clone()))?;
    ///         transport.write(b"welcome")
    ///     }
    /// }
    ///
    /// struct Echo(Transport);
    ///
    /// impl Protocol for Echo {
    ///     fn data_received(&mut self, data: &[u8]) -> io::Result<()> {
    ///         self.0.write(data)
    ///     }
    /// }
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let (transport, _) = create_connection_over(|| Greet(None), ours, ConnectionOptions::new())?;
    /// assert!(transport.get_protocol::<Greet>().is_some());
    /// let mut heard = [0; 7];
    /// theirs.write_all(b"hello")?;
    /// theirs.read_exact(&mut heard)?;
    /// assert_eq!(&heard, b"welcome");
    /// assert!(transport.get_protocol::<Greet>().is_none());
    /// assert!(transport.get_protocol::<Echo>().is_some());
    /// theirs.write_all(b"an echo")?;
    /// theirs.read_exact(&mut heard)?;
    /// assert_eq!(&heard, b"an echo");
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn set_protocol<P, Kind>(&self, protocol: P) -> io::Result<ProtocolRef<P>>
    where
        P: StreamProtocol<Kind>,
    {
        let cell = Cell::new(protocol);
        self.set_callbacks(P::callbacks(Arc::clone(&cell)))?;
        Ok(ProtocolRef { cell })
    }
}

#[derive(Debug)]
struct InPieces<P>(Arc<Cell<P>>);

impl<P: Protocol> Callbacks for InPieces<P> {
    fn received(&self, data: &[u8]) -> io::Result<()> {
        let mut using = self.0.lock();
        guarded(|| using.protocol.data_received(data))
    }

    fn ended(&self) -> io::Result<bool> {
        let mut using = self.0.lock();
        guarded(|| using.protocol.eof_received())
    }

    shared_callbacks!();
}

#[derive(Debug)]
struct IntoOwnBuffer<P>(Arc<Cell<P>>);

impl<P: BufferedProtocol> IntoOwnBuffer<P> {
    /// The protocol's buffer, which must have room.
    fn room(protocol: &mut P, size_hint: usize) -> io::Result<&mut [u8]> {
        match protocol.get_buffer(size_hint) {
            [] => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "get_buffer() returned an empty buffer",
            )),
            buffer => Ok(buffer),
        }
    }
}

impl<P: BufferedProtocol> Callbacks for IntoOwnBuffer<P> {
    fn received(&self, mut data: &[u8]) -> io::Result<()> {
        let mut using = self.0.lock();
        guarded(|| {
            while !data.is_empty() {
                let room = Self::room(&mut using.protocol, data.len())?;
                let count = room.len().min(data.len());
                room[..count].copy_from_slice(&data[..count]);
                using.protocol.buffer_updated(count)?;
                data = &data[count..];
            }
            Ok(())
        })
    }

    fn receive_into(&self, receive: Receive<'_>) -> Option<io::Result<(usize, io::Result<()>)>> {
        let mut using = self.0.lock();
        let protocol = &mut *using.protocol;
        let received = guarded(|| Ok(receive(Self::room(protocol, 0)?)));
        Some(match received {
            Ok(Ok(0)) => Ok((0, Ok(()))),
            Ok(Ok(count)) => Ok((count, guarded(|| protocol.buffer_updated(count)))),
            Ok(Err(error)) => Err(error),
            // The protocol's own failure is no matter of the socket.
            Err(error) => Ok((0, Err(error))),
        })
    }

    fn has_buffer(&self) -> bool {
        true
    }

    fn ended(&self) -> io::Result<bool> {
        let mut using = self.0.lock();
        guarded(|| using.protocol.eof_received())
    }

    shared_callbacks!();
}
