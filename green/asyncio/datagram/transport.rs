//! The handle to a datagram endpoint.

use std::any::Any;
use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;

use greenhub::greenio::SockAddr;

use super::super::cell::ProtocolRef;
use super::super::extra::ExtraInfo;
use super::endpoint::{Callbacks, Endpoint};

/// A socket for datagrams: asyncio's `DatagramTransport`.
///
/// Clones are handles to the same socket; any thread may use any of them. No method waits.
///
/// # Differences from asyncio
///
/// [`send`](Self::send) and [`sendto`](Self::sendto) are two methods, since one needs an address and the other must
/// have none.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use green::asyncio::{DatagramOptions, DatagramProtocol, create_datagram_endpoint};
/// use green::greenio::SockAddr;
/// use green::net::UdpSocket;
///
/// struct Deaf;
///
/// impl DatagramProtocol for Deaf {
///     fn datagram_received(&mut self, _: &[u8], _: &SockAddr) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// let peer = UdpSocket::bind("127.0.0.1:0")?;
/// let stranger = UdpSocket::bind("127.0.0.1:0")?;
/// let options = DatagramOptions::new().remote_addr(peer.local_addr()?);
/// let (transport, _) = create_datagram_endpoint(|| Deaf, options)?;
/// transport.send(b"one")?;
/// transport.sendto(b"two", peer.local_addr()?)?;
/// let refused = transport.sendto(b"three", stranger.local_addr()?).unwrap_err();
/// assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
/// let mut heard = [0; 100];
/// assert_eq!(peer.recv(&mut heard)?, 3);
///
/// assert!(transport.get_protocol::<Deaf>().is_some());
/// assert_eq!(transport.get_write_buffer_size(), 0);
/// transport.set_write_buffer_limits(Some(1000), None)?;
/// assert_eq!(transport.get_write_buffer_limits(), (250, 1000));
/// transport.close();
/// assert!(transport.is_closing());
/// assert!(transport.send(b"four").is_err());
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone)]
pub struct DatagramTransport {
    pub(super) endpoint: Arc<Endpoint>,
}

impl DatagramTransport {
    pub(in crate::asyncio) fn of(endpoint: &Arc<Endpoint>) -> DatagramTransport {
        DatagramTransport {
            endpoint: Arc::clone(endpoint),
        }
    }

    /// Sends a datagram to the endpoint's remote address, without waiting: one that the kernel does not take at once is
    /// kept and sent later. Errors are reported to
    /// [`error_received`](crate::asyncio::DatagramProtocol::error_received).
    ///
    /// # Errors
    ///
    /// `NotConnected` with [`ClosedLocally`](crate::ClosedLocally) inside when the transport is closing.
    pub fn send(&self, data: &[u8]) -> io::Result<()> {
        self.endpoint.send(data, None)
    }

    /// As [`send`](Self::send), to `address`: a `SocketAddr`, or the address that `datagram_received` got.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); `InvalidInput` if the endpoint has another remote address.
    pub fn sendto(&self, data: &[u8], address: impl Into<SockAddr>) -> io::Result<()> {
        let address = address.into();
        match self.get_extra_info().peername() {
            None => self.endpoint.send(data, Some(address)),
            Some(remote) if *remote == address => self.endpoint.send(data, None),
            Some(_) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the endpoint sends to its remote address only",
            )),
        }
    }

    /// Closes the endpoint: receives nothing more, sends what it still has, then calls `connection_lost(None)`.
    pub fn close(&self) {
        self.endpoint.close();
    }

    /// Closes the endpoint at once. What was not sent is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    ///
    /// use green::asyncio::{DatagramOptions, DatagramProtocol, Future, create_datagram_endpoint};
    /// use green::greenio::SockAddr;
    ///
    /// struct Deaf(Future<()>);
    ///
    /// impl DatagramProtocol for Deaf {
    ///     fn datagram_received(&mut self, _: &[u8], _: &SockAddr) -> io::Result<()> {
    ///         Ok(())
    ///     }
    ///
    ///     fn connection_lost(&mut self, error: Option<io::Error>) {
    ///         assert!(error.is_none());
    ///         self.0.set_result(()).unwrap();
    ///     }
    /// }
    ///
    /// let lost = Future::new();
    /// let options = DatagramOptions::new().local_addr(([127, 0, 0, 1], 0).into());
    /// let (transport, _) = create_datagram_endpoint(|| Deaf(lost.clone()), options)?;
    /// transport.abort();
    /// lost.wait(None)?;
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn abort(&self) {
        self.endpoint.end(None);
    }

    /// Whether the endpoint is closing or closed.
    pub fn is_closing(&self) -> bool {
        self.endpoint.state.lock().closing
    }

    /// How many bytes wait to be sent.
    pub fn get_write_buffer_size(&self) -> usize {
        self.endpoint.state.lock().size
    }

    /// The low and the high mark; as [`Transport::get_write_buffer_limits`](crate::asyncio::Transport::get_write_buffer_limits).
    pub fn get_write_buffer_limits(&self) -> (usize, usize) {
        self.endpoint.state.lock().flow.limits()
    }

    /// Sets the marks; as [`Transport::set_write_buffer_limits`](crate::asyncio::Transport::set_write_buffer_limits).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if low is above high.
    pub fn set_write_buffer_limits(
        &self,
        high: Option<usize>,
        low: Option<usize>,
    ) -> io::Result<()> {
        let passed = {
            let mut state = self.endpoint.state.lock();
            state.flow.set_limits(high, low)?;
            state.note_size()
        };
        if passed {
            self.endpoint.call_reader();
        }
        Ok(())
    }

    /// Has other callbacks serve the endpoint.
    pub(in super::super) fn set_callbacks(&self, callbacks: Arc<dyn Callbacks>) -> io::Result<()> {
        let mut state = self.endpoint.state.lock();
        let Some(served) = &mut state.callbacks else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let replaced = mem::replace(served, callbacks);
        drop(state);
        // A destructor of the user's, hence not under the lock.
        drop(replaced);
        Ok(())
    }

    /// The protocol, if it is a `P`. None once `connection_lost` has been called.
    pub fn get_protocol<P: Send + 'static>(&self) -> Option<ProtocolRef<P>> {
        let cell: Arc<dyn Any + Send + Sync> =
            self.endpoint.state.lock().callbacks.as_ref()?.cell();
        let cell = Arc::downcast(cell).ok()?;
        Some(ProtocolRef { cell })
    }

    /// Addresses, and the socket for its options, such as those for multicast.
    pub fn get_extra_info(&self) -> &ExtraInfo {
        &self.endpoint.extra
    }
}

impl fmt::Debug for DatagramTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramTransport")
            .field("extra", self.get_extra_info())
            .field("closing", &self.is_closing())
            .finish_non_exhaustive()
    }
}
