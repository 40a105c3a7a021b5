//! The system calls on sockets that transfer, connect and name: the kernel's, or in a simulation those of its network.
//!
//! Options are not among them: a simulated socket has a descriptor of the kernel's, which keeps its options.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Shutdown;
#[cfg(feature = "sim")]
use std::os::fd::AsRawFd;
use std::os::fd::{BorrowedFd, OwnedFd};

use libc::c_int;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::sys::socket;
pub(crate) use crate::sys::socket::Received;

/// The same call on the simulated network, if the running thread is simulated.
macro_rules! simulated {
    ($world:ident => $call:expr) => {
        #[cfg(feature = "sim")]
        if let Some($world) = crate::world::here() {
            return $call;
        }
    };
}

/// `socket(2)`, non-blocking.
pub(crate) fn socket(domain: Domain, ty: Type, protocol: Option<Protocol>) -> io::Result<OwnedFd> {
    simulated!(world => world.socket(domain, ty, protocol));
    Ok(Socket::new_raw(domain, ty.nonblocking().cloexec(), protocol)?.into())
}

/// `socketpair(2)`, both non-blocking.
pub(crate) fn pair(
    domain: Domain,
    ty: Type,
    protocol: Option<Protocol>,
) -> io::Result<(OwnedFd, OwnedFd)> {
    simulated!(world => world.pair(domain, ty));
    let (one, other) = Socket::pair_raw(domain, ty.nonblocking().cloexec(), protocol)?;
    Ok((one.into(), other.into()))
}

/// `bind(2)`.
pub(crate) fn bind(fd: BorrowedFd<'_>, address: &SockAddr) -> io::Result<()> {
    simulated!(world => world.bind(fd.as_raw_fd(), address));
    SockRef::from(&fd).bind(address)
}

/// `listen(2)`.
pub(crate) fn listen(fd: BorrowedFd<'_>, backlog: c_int) -> io::Result<()> {
    simulated!(world => world.listen(fd.as_raw_fd(), backlog));
    SockRef::from(&fd).listen(backlog)
}

/// `connect(2)`.
pub(crate) fn connect(fd: BorrowedFd<'_>, address: &SockAddr) -> io::Result<()> {
    simulated!(world => world.connect(fd.as_raw_fd(), address));
    SockRef::from(&fd).connect(address)
}

/// `accept4(2)`: the new one is non-blocking.
pub(crate) fn accept(fd: BorrowedFd<'_>) -> io::Result<(Socket, SockAddr)> {
    simulated!(world => world.accept(fd.as_raw_fd()));
    SockRef::from(&fd).accept4(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC)
}

/// `shutdown(2)`.
pub(crate) fn shutdown(fd: BorrowedFd<'_>, how: Shutdown) -> io::Result<()> {
    simulated!(world => world.shutdown(fd.as_raw_fd(), how));
    SockRef::from(&fd).shutdown(how)
}

/// `getsockname(2)`.
pub(crate) fn local_addr(fd: BorrowedFd<'_>) -> io::Result<SockAddr> {
    simulated!(world => world.local_addr(fd.as_raw_fd()));
    SockRef::from(&fd).local_addr()
}

/// `getpeername(2)`.
pub(crate) fn peer_addr(fd: BorrowedFd<'_>) -> io::Result<SockAddr> {
    simulated!(world => world.peer_addr(fd.as_raw_fd()));
    SockRef::from(&fd).peer_addr()
}

/// `getsockopt(2)` of `SO_ERROR`.
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    simulated!(world => world.take_error(fd.as_raw_fd()));
    SockRef::from(&fd).take_error()
}

/// `getsockopt(2)` of `SO_ACCEPTCONN`.
pub(crate) fn is_listener(fd: BorrowedFd<'_>) -> io::Result<bool> {
    simulated!(world => world.is_listener(fd.as_raw_fd()));
    SockRef::from(&fd).is_listener()
}

/// `recv(2)`.
#[inline]
pub(crate) fn recv(fd: BorrowedFd<'_>, buf: &mut [u8], flags: c_int) -> io::Result<usize> {
    simulated!(world => {
        let (length, ..) = world.receive(fd.as_raw_fd(), &mut [IoSliceMut::new(buf)], flags)?;
        Ok(length)
    });
    socket::recv(fd, buf, flags)
}

/// `recv(2)` into memory that need not be initialised.
#[inline]
pub(crate) fn recv_into<'room>(
    fd: BorrowedFd<'_>,
    room: &'room mut [MaybeUninit<u8>],
) -> io::Result<&'room mut [u8]> {
    simulated!(world => {
        let mut received = vec![0; room.len()];
        let bufs = &mut [IoSliceMut::new(&mut received)];
        let (length, ..) = world.receive(fd.as_raw_fd(), bufs, libc::MSG_DONTWAIT)?;
        Ok(room[..length].write_copy_of_slice(&received[..length]))
    });
    socket::recv_into(fd, room)
}

/// `recvfrom(2)`.
pub(crate) fn recv_from(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    flags: c_int,
) -> io::Result<(usize, SockAddr)> {
    simulated!(world => {
        let bufs = &mut [IoSliceMut::new(buf)];
        let (length, _, from) = world.receive(fd.as_raw_fd(), bufs, flags)?;
        Ok((length, from))
    });
    socket::recv_from(fd, buf, flags)
}

/// `recvmsg(2)`. Nothing ancillary comes in a simulation.
pub(crate) fn recvmsg(
    fd: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    control: &mut [u8],
    flags: c_int,
) -> io::Result<Received> {
    simulated!(world => {
        let (len, flags, address) = world.receive(fd.as_raw_fd(), bufs, flags)?;
        Ok(Received { len, control_len: 0, flags, address })
    });
    socket::recvmsg(fd, bufs, control, flags)
}

/// `send(2)`.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, buf: &[u8], flags: c_int) -> io::Result<usize> {
    simulated!(world => world.send(fd.as_raw_fd(), &[IoSlice::new(buf)], None));
    socket::send(fd, buf, flags)
}

/// `sendto(2)`.
pub(crate) fn send_to(
    fd: BorrowedFd<'_>,
    buf: &[u8],
    address: &SockAddr,
    flags: c_int,
) -> io::Result<usize> {
    simulated!(world => world.send(fd.as_raw_fd(), &[IoSlice::new(buf)], Some(address)));
    socket::send_to(fd, buf, address, flags)
}

/// `sendmsg(2)`. In a simulation nothing ancillary can be sent.
pub(crate) fn sendmsg(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    address: Option<&SockAddr>,
    control: &[u8],
    flags: c_int,
) -> io::Result<usize> {
    simulated!(world => {
        if !control.is_empty() {
            crate::world::refuse("ancillary data")?;
        }
        world.send(fd.as_raw_fd(), bufs, address)
    });
    socket::sendmsg(fd, bufs, address, control, flags)
}

/// `sendfile(2)`.
pub(crate) fn send_file(
    fd: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    count: usize,
) -> io::Result<usize> {
    simulated!(world => {
        const MOST: usize = 64 * 1024;
        let mut bytes = vec![0; count.min(MOST)];
        let read = crate::sys::fd::read_at(file, &mut bytes, *offset)?;
        if read == 0 {
            return Ok(0);
        }
        let sent = world.send(fd.as_raw_fd(), &[IoSlice::new(&bytes[..read])], None)?;
        *offset += sent as u64;
        Ok(sent)
    });
    socket::send_file(fd, file, offset, count)
}

/// To be called before a socket's descriptor is closed, or another open file put in its place.
#[cfg(feature = "sim")]
pub(crate) fn closing(fd: std::os::fd::RawFd) {
    if let Some(world) = crate::world::here() {
        world.close(fd, crate::sys::fd::resets_when_closed(fd));
    }
}
