//! A protocol of datagrams, as its endpoint calls it.

use std::any::Any;
use std::io;
use std::sync::Arc;

use greenhub::greenio::SockAddr;

use super::super::cell::{Cell, ProtocolRef};
use super::super::datagram::{Callbacks, DatagramTransport};
use super::super::panicked::guarded;
use super::DatagramProtocol;

impl DatagramTransport {
    /// Replaces the protocol of this endpoint. From now on callbacks go to the new one, which gets no `connection_made`.
    ///
    /// # Errors
    ///
    /// `NotConnected` if `connection_lost` has been called; the protocol is dropped then.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    ///
    /// use green::asyncio::{DatagramOptions, DatagramProtocol, Future, create_datagram_endpoint};
    /// use green::greenio::SockAddr;
    ///
    /// struct Deaf;
    ///
    /// impl DatagramProtocol for Deaf {
    ///     fn datagram_received(&mut self, _: &[u8], _: &SockAddr) -> io::Result<()> {
    ///         Ok(())
    ///     }
    /// }
    ///
    /// struct Hear(Future<Vec<u8>>);
    ///
    /// impl DatagramProtocol for Hear {
    ///     fn datagram_received(&mut self, data: &[u8], _: &SockAddr) -> io::Result<()> {
    ///         Ok(self.0.set_result(data.to_vec())?)
    ///     }
    /// }
    ///
    /// let options = DatagramOptions::new().local_addr(([127, 0, 0, 1], 0).into());
    /// let (endpoint, _) = create_datagram_endpoint(|| Deaf, options)?;
    /// let heard = Future::new();
    /// endpoint.set_protocol(Hear(heard.clone()))?;
    /// assert!(endpoint.get_protocol::<Deaf>().is_none());
    /// let address = endpoint.get_extra_info().sockname().unwrap().clone();
    /// endpoint.sendto(b"to myself", address)?;
    /// assert_eq!(heard.wait(None)?, b"to myself");
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn set_protocol<P: DatagramProtocol>(&self, protocol: P) -> io::Result<ProtocolRef<P>> {
        let cell = Cell::new(protocol);
        self.set_callbacks(Arc::new(Served(Arc::clone(&cell))))?;
        Ok(ProtocolRef { cell })
    }
}

/// The protocol of an endpoint.
#[derive(Debug)]
pub(in super::super) struct Served<P>(pub(in super::super) Arc<Cell<P>>);

impl<P: DatagramProtocol> Served<P> {
    /// Tells the protocol of its endpoint.
    pub(in super::super) fn made(&self, transport: DatagramTransport) -> io::Result<()> {
        let mut using = self.0.lock();
        guarded(|| using.protocol.connection_made(transport))
    }
}

impl<P: DatagramProtocol> Callbacks for Served<P> {
    fn received(&self, data: &[u8], from: &SockAddr) -> io::Result<()> {
        let mut using = self.0.lock();
        guarded(|| using.protocol.datagram_received(data, from))
    }

    fn failed(&self, error: io::Error) -> io::Result<()> {
        let mut using = self.0.lock();
        guarded(|| {
            using.protocol.error_received(error);
            Ok(())
        })
    }

    shared_callbacks!();
}
