//! UDP sockets.

use super::ToSocketAddrs;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use greenhub::greenio::{Domain, GreenSocket, Protocol, Type};

use super::resolve::each_address;
use super::{ip_address, socket_face};

/// A UDP socket: [`std::net::UdpSocket`] on green threads.
///
/// See the [module](super) for the differences from std.
///
/// # Examples
///
/// ```
/// use green::net::UdpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// let here = UdpSocket::bind("127.0.0.1:0")?;
/// let there = UdpSocket::bind("127.0.0.1:0")?;
///
/// here.send_to(b"hello", there.local_addr()?)?;
/// let mut buf = [0; 16];
/// assert_eq!(there.recv_from(&mut buf)?, (5, here.local_addr()?));
/// # Ok(())
/// # }
/// ```
pub struct UdpSocket {
    socket: GreenSocket,
}

impl UdpSocket {
    /// Binds to the first address of `addr` that can be bound. Port 0 has the kernel
    /// choose a port.
    ///
    /// # Errors
    ///
    /// The error of the last address tried, such as
    /// [`AddrInUse`](io::ErrorKind::AddrInUse);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address; that of
    /// the look-up if it fails.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        each_address(addr, |address| {
            let domain = Domain::for_address(*address);
            let socket = GreenSocket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
            socket.bind(&(*address).into())?;
            Ok(UdpSocket { socket })
        })
    }

    /// Waits for a datagram and tells who sent it. What does not fit is lost.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`; [`WouldBlock`](io::ErrorKind::WouldBlock) when the read
    /// timeout passes.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::net::UdpSocket;
    ///
    /// let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// one.send_to(b"hello", other.local_addr()?)?;
    /// let mut buffer = [0; 16];
    /// let (length, from) = other.recv_from(&mut buffer)?;
    /// assert_eq!((&buffer[..length], from), (&b"hello"[..], one.local_addr()?));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (len, sender) = self.socket.recv_from(buf)?;
        Ok((len, ip_address(sender)?))
    }

    /// Waits for a datagram and copies it without taking it.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`; [`WouldBlock`](io::ErrorKind::WouldBlock) when the read
    /// timeout passes.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (len, sender) = self.socket.peek_from(buf)?;
        Ok((len, ip_address(sender)?))
    }

    /// Sends a datagram to the first address of `addr`. A name is looked up on the
    /// blocking pool.
    ///
    /// # Errors
    ///
    /// Those of `send(2)`; [`WouldBlock`](io::ErrorKind::WouldBlock) when the write
    /// timeout passes.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address.
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        match addr.to_socket_addrs()?.next() {
            Some(address) => self.socket.send_to(buf, &address.into()),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no addresses to send data to",
            )),
        }
    }

    /// The address set by [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr().and_then(ip_address)
    }

    /// The address bound to.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr().and_then(ip_address)
    }

    /// Another handle to the same socket. Timeouts and non-blocking mode are shared.
    ///
    /// # Errors
    ///
    /// None: no descriptor is duplicated.
    pub fn try_clone(&self) -> io::Result<UdpSocket> {
        self.socket.try_clone().map(UdpSocket::from)
    }

    /// Limits how long a receiving call waits: it then fails with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), and the socket stays usable.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a timeout of zero.
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(dur)
    }

    /// Limits how long a sending call waits: it then fails with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), and the socket stays usable.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a timeout of zero.
    pub fn set_write_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.socket.set_write_timeout(dur)
    }

    /// The timeout for receiving calls, exactly as it was set.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.read_timeout())
    }

    /// The timeout for sending calls, exactly as it was set.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.write_timeout())
    }

    /// Allows sending to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.socket.set_broadcast(broadcast)
    }

    /// The setting of [`set_broadcast`](Self::set_broadcast).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.socket.broadcast()
    }

    /// Whether this host hears what it sends to a group (`IP_MULTICAST_LOOP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_loop_v4(&self, multicast_loop_v4: bool) -> io::Result<()> {
        self.socket.set_multicast_loop_v4(multicast_loop_v4)
    }

    /// The setting of [`set_multicast_loop_v4`](Self::set_multicast_loop_v4).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.socket.multicast_loop_v4()
    }

    /// How many hops a datagram to a group may take (`IP_MULTICAST_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_ttl_v4(&self, multicast_ttl_v4: u32) -> io::Result<()> {
        self.socket.set_multicast_ttl_v4(multicast_ttl_v4)
    }

    /// The setting of [`set_multicast_ttl_v4`](Self::set_multicast_ttl_v4).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.socket.multicast_ttl_v4()
    }

    /// Whether this host hears what it sends to a group (`IPV6_MULTICAST_LOOP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_loop_v6(&self, multicast_loop_v6: bool) -> io::Result<()> {
        self.socket.set_multicast_loop_v6(multicast_loop_v6)
    }

    /// The setting of [`set_multicast_loop_v6`](Self::set_multicast_loop_v6).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.socket.multicast_loop_v6()
    }

    /// How many hops a datagram may take (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_ttl(ttl)
    }

    /// The setting of [`set_ttl`](Self::set_ttl).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.ttl()
    }

    /// Joins a group on the interface that has the address `interface`; on one that
    /// the kernel picks, if that is unspecified.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn join_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.socket.join_multicast_v4(multiaddr, interface)
    }

    /// Joins a group on the interface with this index; on one that the kernel picks,
    /// if that is 0.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket.join_multicast_v6(multiaddr, interface)
    }

    /// Leaves a group on the interface that has the address `interface`; on one that
    /// the kernel picks, if that is unspecified.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn leave_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.socket.leave_multicast_v4(multiaddr, interface)
    }

    /// Leaves a group on the interface with this index; on one that the kernel picks,
    /// if that is 0.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket.leave_multicast_v6(multiaddr, interface)
    }

    /// Takes the error stored on the socket (`SO_ERROR`), if any.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// From now on sends to the first address of `addr` for which that is possible, and receives
    /// only from there. Nothing is sent over the network by this call.
    ///
    /// # Errors
    ///
    /// The error of the last address tried;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::net::UdpSocket;
    ///
    /// let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// one.connect(other.local_addr()?)?;
    /// other.connect(one.local_addr()?)?;
    /// one.send(b"hello")?;
    /// let mut buffer = [0; 16];
    /// assert_eq!(other.recv(&mut buffer)?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        each_address(addr, |address| self.socket.connect(&(*address).into()))
    }

    /// Sends a datagram to the address set by [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// Those of `send(2)`; [`WouldBlock`](io::ErrorKind::WouldBlock) when the write
    /// timeout passes.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.send(buf)
    }

    /// Waits for a datagram. What does not fit is lost.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`; [`WouldBlock`](io::ErrorKind::WouldBlock) when the read
    /// timeout passes.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buf)
    }

    /// Waits for a datagram and copies it without taking it.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`; [`WouldBlock`](io::ErrorKind::WouldBlock) when the read
    /// timeout passes.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.peek(buf)
    }

    /// Chooses whether calls that would wait fail with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) instead, for all clones.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking);
        Ok(())
    }
}

socket_face!(UdpSocket, std::net::UdpSocket);

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("UdpSocket");
        if let Ok(address) = self.local_addr() {
            fields.field("addr", &address);
        }
        fields.field("fd", &self.as_raw_fd()).finish()
    }
}
