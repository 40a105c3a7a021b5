//! Addresses: which socket has which one, and which ports are free.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;

use socket2::{Domain, SockAddr, Type};

use super::table::{Around, Network, Number, Socket, State, error};

/// An address of IPv4 as a socket of IPv6 sees it.
fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

/// As a socket of this domain sees it.
pub(super) fn seen_from(domain: Domain, address: SocketAddr) -> SocketAddr {
    match domain == Domain::IPV6 {
        true => mapped(address),
        false => address,
    }
}

/// Where something sent to `address` goes: a machine is its own at the unspecified address.
pub(super) fn meant(address: SocketAddr) -> SocketAddr {
    let mut meant = SocketAddr::new(address.ip().to_canonical(), address.port());
    if meant.ip().is_unspecified() {
        meant.set_ip(match meant {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    meant
}

impl Socket {
    /// Whether what is sent to `address` is meant for this socket.
    fn is_at(&self, address: SocketAddr) -> bool {
        let Some(local) = self.local.as_ref().and_then(SockAddr::as_socket) else {
            return false;
        };
        let ip = local.ip().to_canonical();
        let any = match address.ip() {
            IpAddr::V4(_) => ip == Ipv4Addr::UNSPECIFIED || ip == Ipv6Addr::UNSPECIFIED,
            IpAddr::V6(_) => ip == Ipv6Addr::UNSPECIFIED,
        };
        local.port() == address.port() && (any || ip == address.ip())
    }

    /// Whether both cannot have their addresses at once.
    fn clashes(&self, wanted: SocketAddr) -> bool {
        let Some(local) = self.local.as_ref().and_then(SockAddr::as_socket) else {
            return false;
        };
        let (one, other) = (local.ip().to_canonical(), wanted.ip().to_canonical());
        let ends_connection = matches!(&self.state, State::Stream(stream) if stream.was_accepted);
        local.port() == wanted.port()
            && !ends_connection
            && (one == other || one.is_unspecified() || other.is_unspecified())
    }
}

impl Network {
    /// Who has the name, among those of a type.
    fn find(&self, ty: Type, is_it: impl Fn(&Socket) -> bool) -> Option<Number> {
        let mut found = self.sockets.iter();
        found
            .find(|(_, socket)| socket.ty == ty && is_it(socket))
            .map(|(number, _)| *number)
    }

    pub(super) fn listener_at(&self, address: SocketAddr) -> Option<Number> {
        self.find(Type::STREAM, |socket| {
            matches!(socket.state, State::Listening { .. }) && socket.is_at(address)
        })
    }

    /// The socket that receives datagrams sent from `from` to `address`: one that is connected to `from`, or one that
    /// takes all.
    pub(super) fn reader_at(&self, address: SocketAddr, from: SocketAddr) -> Option<Number> {
        let reader = |is_peer: &dyn Fn(Option<SocketAddr>) -> bool| {
            self.find(Type::DGRAM, |socket| {
                let peer = socket.peer.as_ref().and_then(SockAddr::as_socket);
                socket.is_at(address) && is_peer(peer.map(meant))
            })
        };
        reader(&|peer| peer == Some(from)).or_else(|| reader(&|peer| peer.is_none()))
    }

    pub(super) fn at_path(&self, ty: Type, address: &SockAddr) -> Option<Number> {
        self.find(ty, |socket| {
            socket.local.as_ref() == Some(address) && !matches!(socket.state, State::Stream(_))
        })
    }

    pub(crate) fn bind(
        &mut self,
        around: &mut Around<'_>,
        fd: RawFd,
        address: &SockAddr,
        shares: bool,
    ) -> io::Result<()> {
        let (number, socket) = self.socket(fd)?;
        if socket.local.is_some() || !matches!(socket.state, State::Idle | State::Datagrams(_)) {
            return Err(error(libc::EINVAL));
        }
        if address.domain() != socket.domain {
            return Err(error(libc::EAFNOSUPPORT));
        }
        let (ty, domain) = (socket.ty, socket.domain);
        let name = match address.as_socket() {
            Some(wanted) if wanted.port() == 0 => self.free_port(around, ty, wanted)?.into(),
            Some(wanted) => {
                if !shares && self.find(ty, |socket| socket.clashes(wanted)).is_some() {
                    return Err(error(libc::EADDRINUSE));
                }
                wanted.into()
            }
            None if address.is_unnamed() => {
                // The kernel chooses a name of five digits.
                SockAddr::unix(format!("\0{:05x}", number))?
            }
            None if self.at_path(ty, address).is_some() => return Err(error(libc::EADDRINUSE)),
            None => address.clone(),
        };
        debug_assert_eq!(name.domain(), domain);
        let (_, socket) = self.socket(fd)?;
        socket.local = Some(name);
        Ok(())
    }

    /// `wanted` with a port that nobody has.
    pub(super) fn free_port(
        &mut self,
        around: &mut Around<'_>,
        ty: Type,
        wanted: SocketAddr,
    ) -> io::Result<SocketAddr> {
        let ports = around.faults.ports.clone();
        let count = u64::from(ports.end.saturating_sub(ports.start)).max(1);
        let first = around.random.below(count);
        let all = (first..count).chain(0..first);
        for port in all.map(|n| ports.start + n as u16) {
            let candidate = SocketAddr::new(wanted.ip(), port);
            if self.find(ty, |socket| socket.clashes(candidate)).is_none() {
                return Ok(candidate);
            }
        }
        around.tell(0, "has no port left", 0);
        Err(error(libc::EADDRNOTAVAIL))
    }
}
