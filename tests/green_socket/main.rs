//! `GreenSocket`, which all sockets stand on.

mod close;
mod kinds;
mod limits;
mod linger;
mod messages;
mod options;
mod waits;

use greenhub::greenio::{Domain, GreenSocket, Type};
use test_support::net::loopback;

/// A socket for datagrams, on a port of its own.
fn udp() -> GreenSocket {
    let socket = GreenSocket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.bind(&loopback()).unwrap();
    socket
}

fn unix_pair(ty: Type) -> (GreenSocket, GreenSocket) {
    GreenSocket::pair(Domain::UNIX, ty, None).unwrap()
}
