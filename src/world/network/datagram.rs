//! Datagrams, of UDP and of Unix sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;

use libc::c_int;
use socket2::{Domain, SockAddr, Type};

use super::names::{meant, seen_from, source};
use super::table::{Around, Datagrams, Event, Network, Number, State, error, unbound, unknown};
use crate::sys::epoll;

/// The largest that fits into an IP packet.
const LARGEST: usize = 65_507;
/// How many a UDP socket keeps, and a Unix socket.
const KEPT: usize = 256;
const KEPT_OF_UNIX: usize = 10;

impl Network {
    fn datagrams(&mut self, number: Number) -> Option<&mut Datagrams> {
        match &mut self.sockets.get_mut(&number)?.state {
            State::Datagrams(datagrams) => Some(datagrams),
            _ => None,
        }
    }

    pub(super) fn connect_datagrams(
        &mut self,
        around: &mut Around<'_>,
        fd: RawFd,
        address: &SockAddr,
    ) -> io::Result<()> {
        if address.is_unix() {
            let machine = self.socket(fd)?.1.machine;
            let there = self.at_path(Type::DGRAM, machine, address);
            there.ok_or_else(|| error(libc::ENOENT))?;
        }
        self.bind_for(around, fd, address)?;
        self.name_machine(fd, address)?;
        self.socket(fd)?.1.peer = Some(address.clone());
        Ok(())
    }

    /// Gives a socket without an address one, at which `address` can answer.
    fn bind_for(
        &mut self,
        around: &mut Around<'_>,
        fd: RawFd,
        address: &SockAddr,
    ) -> io::Result<()> {
        let (_, socket) = self.socket(fd)?;
        if socket.local.is_none()
            && let Some(to) = address.as_socket()
        {
            let (domain, machine) = (socket.domain, socket.machine);
            let here = SocketAddr::new(source(machine, meant(to).ip())?, 0);
            let local = self.free_port(around, Type::DGRAM, machine, here)?;
            self.socket(fd)?.1.local = Some(seen_from(domain, local).into());
        }
        Ok(())
    }

    pub(super) fn send_datagram(
        &mut self,
        around: &mut Around<'_>,
        fd: RawFd,
        bytes: Vec<u8>,
        to: Option<&SockAddr>,
    ) -> io::Result<usize> {
        let number = self.number(fd)?;
        self.fault(around, number, epoll::OUT)?;
        let (_, socket) = self.socket(fd)?;
        if let Some(raw) = socket.error.take() {
            return Err(error(raw));
        }
        let (domain, machine, peer) = (socket.domain, socket.machine, socket.peer.clone());
        let State::Datagrams(datagrams) = &socket.state else {
            return Err(unknown());
        };
        if datagrams.shut_for_writing {
            return Err(error(libc::EPIPE));
        }
        let (count, other) = (bytes.len(), datagrams.other);
        if domain == Domain::UNIX {
            let peer = peer.as_ref().filter(|_| other.is_none());
            self.send_at_once(around, fd, bytes, to, peer, other)?;
            return Ok(count);
        }
        let to = to.or(peer.as_ref()).and_then(SockAddr::as_socket);
        let to = meant(to.ok_or_else(|| error(libc::EDESTADDRREQ))?);
        if count > LARGEST {
            return Err(error(libc::EMSGSIZE));
        }
        let nobody_s = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_multicast(),
        };
        if nobody_s(to.ip()) {
            return Err(error(libc::ENETUNREACH));
        }
        self.bind_for(around, fd, &to.into())?;
        let from = self
            .socket(fd)?
            .1
            .local
            .as_ref()
            .and_then(SockAddr::as_socket);
        let mut from = meant(from.ok_or_else(unknown)?);
        if self
            .local_addr(fd)?
            .as_socket()
            .is_some_and(|local| local.ip().is_unspecified())
        {
            from.set_ip(source(machine, to.ip())?);
        }
        self.may_cut(around, from.ip(), to.ip());
        around.tell(number, "sends a datagram of", count);
        let faults = around.faults;
        let copies = match () {
            () if around.random.happens(faults.lost) => 0,
            () if around.random.happens(faults.doubled) => 2,
            () => 1,
        };
        for _ in 0..copies {
            let when = around.latency();
            let datagram = Event::Datagram {
                from: number,
                from_address: from,
                from_machine: machine,
                to,
                bytes: bytes.clone(),
            };
            self.after(when, datagram);
        }
        Ok(count)
    }

    /// Between Unix sockets: it is there, or there is no room.
    fn send_at_once(
        &mut self,
        around: &mut Around<'_>,
        fd: RawFd,
        bytes: Vec<u8>,
        to: Option<&SockAddr>,
        peer: Option<&SockAddr>,
        other: Option<Number>,
    ) -> io::Result<()> {
        let (from, machine) = (self.local_addr(fd)?, self.socket(fd)?.1.machine);
        let there = match to.or(peer) {
            None => other.ok_or_else(|| error(libc::ENOTCONN))?,
            Some(to) => {
                let there = self.at_path(Type::DGRAM, machine, to);
                there.ok_or_else(|| error(libc::ECONNREFUSED))?
            }
        };
        let datagrams = self.datagrams(there);
        let datagrams = datagrams.ok_or_else(|| error(libc::ECONNREFUSED))?;
        if datagrams.shut_for_reading {
            return Err(error(libc::EPIPE));
        }
        if datagrams.inbox.len() >= KEPT_OF_UNIX {
            return Err(error(libc::EAGAIN));
        }
        around.tell(there, "is sent a datagram of", bytes.len());
        datagrams.inbox.push_back((from, bytes));
        self.touch(there);
        Ok(())
    }

    pub(super) fn deliver(
        &mut self,
        around: &mut Around<'_>,
        from: Number,
        (from_machine, from_address): (Option<IpAddr>, SocketAddr),
        to: SocketAddr,
        bytes: Vec<u8>,
    ) {
        if self.is_cut(from_address.ip(), to.ip()) {
            around.tell(from, "loses a datagram of", bytes.len());
            return;
        }
        let reader = self.reader_at(to, from_machine, from_address);
        let Some(reader) = reader else {
            // A sender that is connected is told that nobody is there.
            if let Some(socket) = self.sockets.get_mut(&from)
                && socket.peer.is_some()
            {
                socket.error = Some(libc::ECONNREFUSED);
                self.touch(from);
            }
            return;
        };
        let domain = self.sockets[&reader].domain;
        let Some(datagrams) = self.datagrams(reader) else {
            return;
        };
        if datagrams.inbox.len() < KEPT {
            let length = bytes.len();
            let from = seen_from(domain, from_address);
            datagrams.inbox.push_back((from.into(), bytes));
            around.tell(reader, "is sent a datagram of", length);
            self.touch(reader);
        }
    }

    /// Gives the length, which with MSG_TRUNC may be more than fits, the flags, and the sender.
    pub(super) fn receive_datagram(
        &mut self,
        around: &mut Around<'_>,
        number: Number,
        bufs: &mut [io::IoSliceMut<'_>],
        flags: c_int,
    ) -> io::Result<(usize, c_int, SockAddr)> {
        self.fault(around, number, epoll::IN)?;
        let socket = self.sockets.get_mut(&number).ok_or_else(unknown)?;
        if let Some(raw) = socket.error.take() {
            return Err(error(raw));
        }
        let nobody = unbound(socket.domain)?;
        let State::Datagrams(datagrams) = &mut socket.state else {
            return Err(unknown());
        };
        let Some((from, bytes)) = datagrams.inbox.front() else {
            return match datagrams.shut_for_reading {
                true => Ok((0, 0, nobody)),
                false => Err(error(libc::EAGAIN)),
            };
        };
        let mut count = 0;
        for buf in bufs {
            let length = buf.len().min(bytes.len() - count);
            buf[..length].copy_from_slice(&bytes[count..count + length]);
            count += length;
        }
        let (whole, from) = (bytes.len(), from.clone());
        let cut = if count < whole { libc::MSG_TRUNC } else { 0 };
        if flags & libc::MSG_PEEK == 0 {
            datagrams.inbox.pop_front();
            around.tell(number, "receives a datagram of", whole);
        }
        let length = if flags & libc::MSG_TRUNC != 0 {
            whole
        } else {
            count
        };
        Ok((length, cut, from))
    }
}
