use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::net::{Incoming, TcpListener, TcpStream, UdpSocket};
use crate::os::unix::net::{Incoming as UnixIncoming, UnixDatagram, UnixListener, UnixStream};

/// What std's types are by themselves.
trait Auto: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe {}
impl<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe> Auto for T {}

fn auto<T: Auto>() {}

fn descriptor<T, S>()
where
    T: Auto + AsFd + AsRawFd + IntoRawFd + FromRawFd + From<OwnedFd> + From<S> + std::fmt::Debug,
    OwnedFd: From<T>,
    S: From<T>,
{
}

fn stream<T: Read + Write>()
where
    for<'a> &'a T: Read + Write,
{
}

#[test]
fn the_types_have_the_traits_of_their_twins() {
    descriptor::<TcpStream, std::net::TcpStream>();
    descriptor::<TcpListener, std::net::TcpListener>();
    descriptor::<UdpSocket, std::net::UdpSocket>();
    descriptor::<UnixStream, std::os::unix::net::UnixStream>();
    descriptor::<UnixListener, std::os::unix::net::UnixListener>();
    descriptor::<UnixDatagram, std::os::unix::net::UnixDatagram>();
    descriptor::<TcpStream, socket2::Socket>();
    descriptor::<TcpListener, socket2::Socket>();
    descriptor::<UdpSocket, socket2::Socket>();
    descriptor::<UnixStream, socket2::Socket>();
    descriptor::<UnixListener, socket2::Socket>();
    descriptor::<UnixDatagram, socket2::Socket>();
    #[cfg(feature = "socket2-0-5")]
    descriptor::<TcpStream, socket2_0_5::Socket>();
    stream::<TcpStream>();
    stream::<UnixStream>();
    auto::<Incoming<'_>>();
    auto::<UnixIncoming<'_>>();
}

#[test]
fn tcp_debug_output_is_that_of_std() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(
        format!("{:?}", listener.incoming()),
        format!("Incoming {{ listener: {listener:?} }}")
    );
    let ours = [
        format!("{listener:?}"),
        format!("{stream:#?}"),
        format!("{socket:?}"),
    ];
    let listener = std::net::TcpListener::from(listener);
    let (stream, socket) = (
        std::net::TcpStream::from(stream),
        std::net::UdpSocket::from(socket),
    );
    let std = [
        format!("{listener:?}"),
        format!("{stream:#?}"),
        format!("{socket:?}"),
    ];
    assert_eq!(ours, std);
}
