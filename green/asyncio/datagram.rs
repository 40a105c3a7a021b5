//! Datagram endpoints: a socket that is sent from without waiting, and calls a protocol with what it receives.

use std::any::Any;
use std::fmt;
use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use greenhub::greenio::{Domain, GreenSocket, SockAddr, Type};

use super::cell::{Cell, ProtocolRef};
use super::connect::adopt;
use super::extra::ExtraInfo;
use super::protocol::DatagramProtocol;
use crate::thread::Builder;
use endpoint::Endpoint;

mod endpoint;

/// Settings of a datagram endpoint.
///
/// # Examples
///
/// ```
/// use std::io;
/// use std::net::Ipv4Addr;
///
/// use green::asyncio::{DatagramOptions, DatagramProtocol, Future, create_datagram_endpoint};
/// use green::greenio::SockAddr;
///
/// struct Hear(Future<Vec<u8>>);
///
/// impl DatagramProtocol for Hear {
///     fn datagram_received(&mut self, data: &[u8], _: &SockAddr) -> io::Result<()> {
///         Ok(self.0.set_result(data.to_vec())?)
///     }
/// }
///
/// // Two who listen to a group, and one who speaks to it.
/// let group = Ipv4Addr::new(239, 255, 7, 43);
/// let listen = |port| {
///     let heard = Future::new();
///     let options = DatagramOptions::new()
///         .local_addr((group, port).into())
///         .reuse_address(true)
///         .join_multicast_v4(group, Ipv4Addr::LOCALHOST);
///     let (endpoint, _) = create_datagram_endpoint(|| Hear(heard.clone()), options)?;
///     io::Result::Ok((endpoint, heard))
/// };
/// let one = listen(0)?;
/// let address = one.0.get_extra_info().sockname().unwrap().as_socket().unwrap();
/// let two = listen(address.port())?;
///
/// let options = DatagramOptions::new().local_addr(([127, 0, 0, 1], 0).into());
/// let (speaker, _) = create_datagram_endpoint(|| Hear(Future::new()), options)?;
/// let socket = speaker.get_extra_info().socket();
/// socket.set_multicast_interface_v4(&Ipv4Addr::LOCALHOST)?;
/// speaker.sendto(b"to all", address)?;
/// assert_eq!(one.1.wait(None)?, b"to all");
/// assert_eq!(two.1.wait(None)?, b"to all");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing by themselves"]
pub struct DatagramOptions {
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    reuse_address: bool,
    reuse_port: bool,
    broadcast: bool,
    groups_v4: Vec<(Ipv4Addr, Ipv4Addr)>,
    groups_v6: Vec<(Ipv6Addr, u32)>,
}

impl DatagramOptions {
    /// Neither address: one of them is needed.
    pub fn new() -> DatagramOptions {
        DatagramOptions::default()
    }

    /// Receives at this address. Port 0 has the kernel choose one.
    pub fn local_addr(mut self, address: SocketAddr) -> Self {
        self.local = Some(address);
        self
    }

    /// Sends to this address, and receives from nobody else.
    pub fn remote_addr(mut self, address: SocketAddr) -> Self {
        self.remote = Some(address);
        self
    }

    /// Lets sockets share the local address (SO_REUSEADDR): each gets what is sent to a multicast group, one of them
    /// what is sent to it alone.
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.reuse_address = reuse;
        self
    }

    /// Lets sockets of one user share the local address (SO_REUSEPORT), and the kernel spread senders over them.
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// Allows sending to broadcast addresses.
    pub fn allow_broadcast(mut self, allow: bool) -> Self {
        self.broadcast = allow;
        self
    }

    /// Receives what is sent to `group` on the interface with this address, 0.0.0.0 for the kernel's choice; may be
    /// called for several. Bind to the group, or to 0.0.0.0, and let the address be reused if others listen too.
    pub fn join_multicast_v4(mut self, group: Ipv4Addr, interface: Ipv4Addr) -> Self {
        self.groups_v4.push((group, interface));
        self
    }

    /// As [`join_multicast_v4`](Self::join_multicast_v4), on the interface with this index, 0 for the kernel's choice.
    pub fn join_multicast_v6(mut self, group: Ipv6Addr, interface: u32) -> Self {
        self.groups_v6.push((group, interface));
        self
    }

    fn open(&self) -> io::Result<GreenSocket> {
        let Some(address) = self.local.or(self.remote) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a datagram endpoint needs a local or a remote address",
            ));
        };
        let socket = GreenSocket::new(Domain::for_address(address), Type::DGRAM, None)?;
        if self.reuse_address {
            socket.set_reuse_address(true)?;
        }
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if self.broadcast {
            socket.set_broadcast(true)?;
        }
        if let Some(local) = self.local {
            socket.bind(&local.into())?;
        }
        for (group, interface) in &self.groups_v4 {
            socket.join_multicast_v4(group, interface)?;
        }
        for (group, interface) in &self.groups_v6 {
            socket.join_multicast_v6(group, *interface)?;
        }
        if let Some(remote) = self.remote {
            socket.connect(&remote.into())?;
        }
        Ok(socket)
    }
}

/// Opens a datagram endpoint, served by a protocol made by `factory`.
///
/// Waits until `connection_made` has returned. The protocol is called on a green thread of the endpoint's own.
///
/// # Errors
///
/// Those of socket(2), bind(2), connect(2) and of the options; `InvalidInput` without any address.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use green::asyncio::{
///     DatagramOptions, DatagramProtocol, DatagramTransport, Future, create_datagram_endpoint,
/// };
/// use green::greenio::SockAddr;
///
/// struct Echo(Option<DatagramTransport>);
///
/// impl DatagramProtocol for Echo {
///     fn connection_made(&mut self, transport: DatagramTransport) -> io::Result<()> {
///         self.0 = Some(transport);
///         Ok(())
///     }
///
///     fn datagram_received(&mut self, data: &[u8], from: &SockAddr) -> io::Result<()> {
///         self.0.as_ref().unwrap().sendto(data, from.clone())
///     }
/// }
///
/// struct Ask(Future<Vec<u8>>);
///
/// impl DatagramProtocol for Ask {
///     fn connection_made(&mut self, transport: DatagramTransport) -> io::Result<()> {
///         transport.send(b"anybody there?")
///     }
///
///     fn datagram_received(&mut self, data: &[u8], _: &SockAddr) -> io::Result<()> {
///         let _ = self.0.set_result(data.to_vec());
///         Ok(())
///     }
/// }
///
/// # fn main() -> io::Result<()> {
/// let here = DatagramOptions::new().local_addr(([127, 0, 0, 1], 0).into());
/// let (echo, _) = create_datagram_endpoint(|| Echo(None), here)?;
/// let address = echo.get_extra_info().sockname().unwrap().as_socket().unwrap();
///
/// let answer = Future::new();
/// let there = DatagramOptions::new().remote_addr(address);
/// let (ask, _) = create_datagram_endpoint(|| Ask(answer.clone()), there)?;
/// assert_eq!(answer.wait(None).unwrap(), b"anybody there?");
/// ask.close();
/// echo.close();
/// # Ok(())
/// # }
/// ```
pub fn create_datagram_endpoint<P: DatagramProtocol>(
    factory: impl FnOnce() -> P,
    options: DatagramOptions,
) -> io::Result<(DatagramTransport, ProtocolRef<P>)> {
    create_datagram_endpoint_over(factory, options.open()?)
}

/// As [`create_datagram_endpoint`], over a socket that is open already, of UDP or a Unix datagram socket: the parameter
/// `sock` in asyncio.
///
/// # Errors
///
/// What keeps a green thread from being started.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use green::asyncio::{DatagramProtocol, DatagramTransport, create_datagram_endpoint_over};
/// use green::greenio::SockAddr;
/// use green::os::unix::net::UnixDatagram;
///
/// #[derive(Default)]
/// struct Echo(Option<DatagramTransport>);
///
/// impl DatagramProtocol for Echo {
///     fn connection_made(&mut self, transport: DatagramTransport) -> io::Result<()> {
///         self.0 = Some(transport);
///         Ok(())
///     }
///
///     fn datagram_received(&mut self, data: &[u8], _: &SockAddr) -> io::Result<()> {
///         self.0.as_ref().unwrap().send(data)
///     }
/// }
///
/// let (ours, theirs) = UnixDatagram::pair()?;
/// let (echo, _) = create_datagram_endpoint_over(Echo::default, ours)?;
/// theirs.send(b"hello")?;
/// let mut answer = [0; 100];
/// let len = theirs.recv(&mut answer)?;
/// assert_eq!(&answer[..len], b"hello");
/// echo.close();
/// # Ok::<(), io::Error>(())
/// ```
pub fn create_datagram_endpoint_over<P: DatagramProtocol>(
    factory: impl FnOnce() -> P,
    socket: impl Into<GreenSocket>,
) -> io::Result<(DatagramTransport, ProtocolRef<P>)> {
    let socket = socket.into();
    adopt(&socket)?;
    let cell = Cell::new(factory());
    let endpoint = Endpoint::new(socket, cell.clone());
    let reader = endpoint.clone();
    let builder = Builder::new().name("asyncio endpoint".to_owned());
    let reader = builder.spawn(move || reader.serve())?;
    endpoint.is_read_by(&reader);
    let transport = DatagramTransport { endpoint };
    let abandoned = AbortWhenUnwound(&transport);
    let made = transport.endpoint.wait_until_made();
    mem::forget(abandoned);
    made.map(|()| (transport, ProtocolRef { cell }))
}

/// A socket for datagrams: asyncio's `DatagramTransport`.
///
/// Clones are handles to the same socket; any thread may use any of them. No method waits.
///
/// # Differences from asyncio
///
/// [`send`](Self::send) and [`sendto`](Self::sendto) are two, since one needs an address and the other must have none.
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
    endpoint: Arc<Endpoint>,
}

impl DatagramTransport {
    fn of(endpoint: &Arc<Endpoint>) -> DatagramTransport {
        DatagramTransport {
            endpoint: Arc::clone(endpoint),
        }
    }

    /// Sends a datagram to the endpoint's remote address, without waiting: one that the kernel does not take at once is
    /// kept and sent by and by. What goes wrong comes to [`error_received`](DatagramProtocol::error_received).
    ///
    /// # Errors
    ///
    /// `NotConnected` with [`ClosedLocally`](crate::ClosedLocally) inside when the transport is closing.
    pub fn send(&self, data: &[u8]) -> io::Result<()> {
        self.endpoint.send(data, None)
    }

    /// As [`send`](Self::send), to `address`: a `SocketAddr`, or what `datagram_received` was told.
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

    /// Closes the endpoint: receives nothing more, sends what was given to it, then calls `connection_lost(None)`.
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

    /// The low and the high mark; as [`Transport::get_write_buffer_limits`](super::Transport::get_write_buffer_limits).
    pub fn get_write_buffer_limits(&self) -> (usize, usize) {
        self.endpoint.state.lock().flow.limits()
    }

    /// Sets the marks; as [`Transport::set_write_buffer_limits`](super::Transport::set_write_buffer_limits).
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

    /// Has another protocol take the endpoint over: the next call is its, and no `connection_made` comes before.
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
        let mut state = self.endpoint.state.lock();
        let Some(callbacks) = &mut state.callbacks else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let replaced = mem::replace(callbacks, cell.clone());
        drop(state);
        // A destructor of the user's, hence not under the lock.
        drop(replaced);
        Ok(ProtocolRef { cell })
    }

    /// The protocol, if it is a `P`. None once `connection_lost` has been called.
    pub fn get_protocol<P: Send + 'static>(&self) -> Option<ProtocolRef<P>> {
        let cell: Arc<dyn Any + Send + Sync> =
            self.endpoint.state.lock().callbacks.clone()?.into_any();
        let cell = Arc::downcast(cell).ok()?;
        Some(ProtocolRef { cell })
    }

    /// Addresses, and the socket for its options: reach and loop of multicast, for one.
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

struct AbortWhenUnwound<'a>(&'a DatagramTransport);

impl Drop for AbortWhenUnwound<'_> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
