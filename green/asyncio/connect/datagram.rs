//! Datagram endpoints made from this end.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use greenhub::greenio::{Domain, GreenSocket, Type};

use super::super::cell::{Cell, ProtocolRef};
use super::super::datagram::{DatagramTransport, Endpoint};
use super::super::protocol::{DatagramProtocol, Served};
use super::{WhenUnwound, adopt};
use crate::thread::Builder;

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
    /// Without any address: at least one must be set.
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

    /// Lets sockets share the local address (SO_REUSEADDR): each of them gets what is sent to a multicast group; any
    /// other datagram goes to only one of them.
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.reuse_address = reuse;
        self
    }

    /// Lets sockets of one user share the local address (SO_REUSEPORT); the kernel spreads senders over them.
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
    let endpoint = Endpoint::new(socket, Arc::new(Served(cell.clone())));
    let transport = DatagramTransport::of(&endpoint);
    let (readers, served, theirs) = (endpoint.clone(), Served(cell.clone()), transport.clone());
    let builder = Builder::new().name("asyncio endpoint".to_owned());
    let reader = builder.spawn(move || readers.serve(move || served.made(theirs)))?;
    endpoint.is_read_by(&reader);
    let abandoned = WhenUnwound(|| transport.abort());
    let made = endpoint.wait_until_made();
    mem::forget(abandoned);
    made.map(|()| (transport, ProtocolRef { cell }))
}
