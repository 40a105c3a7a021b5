//! `std::net` on green threads.
//!
//! The socket types have std's methods, trait impls and errors. A call that waits
//! parks the calling green thread, or blocks the calling OS thread if it is none.
//! Addresses are std's own, re-exported.
//!
//! # Differences from std
//!
//! - The descriptor is non-blocking underneath; non-blocking mode and timeouts
//!   are kept beside it. Descriptors given back to std are blocking again.
//! - A clone shares the descriptor instead of duplicating it, so both have the
//!   same number.
//! - A connection that broke (reset, timed out in the kernel) never reads as
//!   ended: std reports the error once and a clean end from then on.
//! - Names are looked up on the blocking pool, by `connect`, `bind`, `send_to`, [`lookup_host`]
//!   and [`ToSocketAddrs::to_socket_addrs`], which is a trait of green's own for that.

mod face;
#[cfg(any(feature = "tls", feature = "backdoor", feature = "http"))]
pub(crate) mod parting;
pub(crate) mod resolve;
mod tcp;
mod udp;

pub(crate) use face::{exchanged_with, socket_face, stream_face};
pub use resolve::{ToSocketAddrs, lookup_host};
pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};
pub use tcp::{Incoming, TcpListener, TcpStream};
pub use udp::UdpSocket;

use greenhub::greenio::SockAddr;
use std::io;

/// The address of an IP socket; any other family is a socket of the wrong kind.
pub(crate) fn ip_address(address: SockAddr) -> io::Result<SocketAddr> {
    address
        .as_socket()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "invalid argument"))
}

#[cfg(test)]
mod tests;
