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

/// Who has it if it does not say: a machine sends to itself from the address that it sends to, and to others from its own.
pub(super) fn source(machine: Option<IpAddr>, to: IpAddr) -> io::Result<IpAddr> {
    match machine {
        _ if to.is_loopback() => Ok(to),
        None => Ok(to),
        Some(own) if own.is_ipv4() == to.is_ipv4() => Ok(own),
        Some(_) => Err(error(libc::ENETUNREACH)),
    }
}

impl Socket {
    /// Whether what is sent to `address`, from that machine, is meant for this socket.
    fn is_at(&self, address: SocketAddr, from: Option<IpAddr>, is_other_s: bool) -> bool {
        let Some(local) = self.local.as_ref().and_then(SockAddr::as_socket) else {
            return false;
        };
        let ip = local.ip().to_canonical();
        let any = match address.ip() {
            IpAddr::V4(_) => ip == Ipv4Addr::UNSPECIFIED || ip == Ipv6Addr::UNSPECIFIED,
            IpAddr::V6(_) => ip == Ipv6Addr::UNSPECIFIED,
        };
        let is_here = match address.ip() {
            to if to.is_loopback() => self.machine == from,
            to => self.machine.map_or(!is_other_s || !any, |own| own == to),
        };
        local.port() == address.port() && is_here && (any || ip == address.ip())
    }

    /// Whether both cannot have their addresses at once.
    fn clashes(&self, machine: Option<IpAddr>, wanted: SocketAddr) -> bool {
        let Some(local) = self.local.as_ref().and_then(SockAddr::as_socket) else {
            return false;
        };
        let (one, other) = (local.ip().to_canonical(), wanted.ip().to_canonical());
        let ends_connection = matches!(&self.state, State::Stream(stream) if stream.was_accepted);
        let meet = match one.is_unspecified() || other.is_unspecified() {
            true => self.machine == machine || self.machine == Some(other) || machine == Some(one),
            false => one == other && (self.machine == machine || !one.is_loopback()),
        };
        local.port() == wanted.port() && !ends_connection && meet
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

    pub(super) fn listener_at(&self, address: SocketAddr, from: Option<IpAddr>) -> Option<Number> {
        let is_other_s = self.machines.contains(&address.ip());
        self.find(Type::STREAM, |socket| {
            matches!(socket.state, State::Listening { .. })
                && socket.is_at(address, from, is_other_s)
        })
    }

    /// The socket that receives datagrams sent from `from` to `address`: one that is connected to `from`, or one that
    /// takes all.
    pub(super) fn reader_at(
        &self,
        address: SocketAddr,
        from_machine: Option<IpAddr>,
        from: SocketAddr,
    ) -> Option<Number> {
        let is_other_s = self.machines.contains(&address.ip());
        let reader = |is_peer: &dyn Fn(Option<SocketAddr>) -> bool| {
            self.find(Type::DGRAM, |socket| {
                let peer = socket.peer.as_ref().and_then(SockAddr::as_socket);
                socket.is_at(address, from_machine, is_other_s) && is_peer(peer.map(meant))
            })
        };
        reader(&|peer| peer == Some(from)).or_else(|| reader(&|peer| peer.is_none()))
    }

    /// Of Unix sockets, whose names are a machine's own.
    pub(super) fn at_path(
        &self,
        ty: Type,
        machine: Option<IpAddr>,
        address: &SockAddr,
    ) -> Option<Number> {
        self.find(ty, |socket| {
            socket.machine == machine
                && socket.local.as_ref() == Some(address)
                && !matches!(socket.state, State::Stream(_))
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
        let (ty, domain, machine) = (socket.ty, socket.domain, socket.machine);
        if let (Some(own), Some(wanted)) = (machine, address.as_socket()) {
            let ip = wanted.ip().to_canonical();
            if ip != own && !ip.is_loopback() && !ip.is_unspecified() {
                return Err(error(libc::EADDRNOTAVAIL));
            }
        }
        let name = match address.as_socket() {
            Some(wanted) if wanted.port() == 0 => {
                self.free_port(around, ty, machine, wanted)?.into()
            }
            Some(wanted) => {
                if !shares
                    && self
                        .find(ty, |socket| socket.clashes(machine, wanted))
                        .is_some()
                {
                    return Err(error(libc::EADDRINUSE));
                }
                wanted.into()
            }
            None if address.is_unnamed() => {
                // The kernel chooses a name of five digits.
                SockAddr::unix(format!("\0{:05x}", number))?
            }
            None if self.at_path(ty, machine, address).is_some() => {
                return Err(error(libc::EADDRINUSE));
            }
            None => address.clone(),
        };
        debug_assert_eq!(name.domain(), domain);
        let (_, socket) = self.socket(fd)?;
        socket.local = Some(name);
        Ok(())
    }

    /// A socket that is about to be connected to `address`, and is at any address of its machine, is at one from now on.
    pub(super) fn name_machine(&mut self, fd: RawFd, address: &SockAddr) -> io::Result<()> {
        let (_, socket) = self.socket(fd)?;
        if let Some(to) = address.as_socket()
            && let Some(local) = socket.local.as_ref().and_then(SockAddr::as_socket)
            && local.ip().is_unspecified()
        {
            let ip = source(socket.machine, meant(to).ip())?;
            let named = seen_from(socket.domain, SocketAddr::new(ip, local.port()));
            socket.local = Some(named.into());
        }
        Ok(())
    }

    /// `wanted` with a port that nobody has.
    pub(super) fn free_port(
        &mut self,
        around: &mut Around<'_>,
        ty: Type,
        machine: Option<IpAddr>,
        wanted: SocketAddr,
    ) -> io::Result<SocketAddr> {
        let ports = around.faults.ports.clone();
        let count = u64::from(ports.end.saturating_sub(ports.start)).max(1);
        let first = around.random.below(count);
        let all = (first..count).chain(0..first);
        for port in all.map(|n| ports.start + n as u16) {
            let candidate = SocketAddr::new(wanted.ip(), port);
            if self
                .find(ty, |socket| socket.clashes(machine, candidate))
                .is_none()
            {
                return Ok(candidate);
            }
        }
        around.tell(0, "has no port left", 0);
        Err(error(libc::EADDRNOTAVAIL))
    }
}
