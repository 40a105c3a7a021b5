//! Multicast on the loopback interface: one sender, several receivers, each a green thread.
//!
//! The receivers share a port and join a group; the sender counts to five; then one receiver
//! leaves the group and misses the rest. First over IPv4, then over IPv6. Nothing leaves this
//! machine: the datagrams have a reach of 0 hops.
//!
//! ```sh
//! cargo run --release -p green-std --example udp_multicast
//! ```
//!
//! Most machines have no IPv6 multicast route over loopback; the program then says so, and ends
//! well all the same. One may be added in a network namespace, where it harms nobody:
//!
//! ```sh
//! unshare --map-root-user --net sh -c 'ip link set lo up; ip -6 route add local ff00::/8 dev lo;
//!     cargo run --release -p green-std --example udp_multicast'
//! ```
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

mod program;

use green::net::UdpSocket;
use green::sync::Barrier;
use green::thread;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use program::Program;

const RECEIVERS: usize = 3;
const BEFORE_LEAVING: u32 = 5;
const AFTER_LEAVING: u32 = 3;

/// For a datagram that is to come, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longer than a datagram takes within a machine: silence of this length means that none comes.
const SILENCE: Duration = Duration::from_millis(500);

/// The index of the loopback interface, which is the first one everywhere on Linux.
const LOOPBACK_INDEX: u32 = 1;

const PROGRAM: Program = Program {
    name: "udp_multicast",
    usage: "\
Usage: udp_multicast

A sender and three receivers on the loopback interface, first over IPv4, then
over IPv6; each says what it hears. Takes nothing, and ends by itself.",
};

fn main() -> ExitCode {
    PROGRAM.run_words(|words| words.is_empty().then(run))
}

fn run() -> io::Result<()> {
    count_aloud(IpAddr::V4(Ipv4Addr::new(239, 255, 7, 7)))?;
    match count_aloud(IpAddr::V6(Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 7, 7))) {
        Err(error) if error.kind() == io::ErrorKind::NetworkUnreachable => {
            println!("IPv6: no multicast route over the loopback interface here, so not tried;");
            println!("      `ip -6 route add local ff00::/8 dev lo` would add one");
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            println!("IPv6: the loopback interface has no IPv6 address here, so not tried");
            Ok(())
        }
        result => result,
    }
}

/// Sends numbers to a group and checks that each receiver hears exactly what it should.
fn count_aloud(group: IpAddr) -> io::Result<()> {
    let sender = sender(group)?;
    let first = receiver(group, 0)?;
    let port = first.local_addr()?.port();
    let target = match group {
        IpAddr::V4(group) => SocketAddr::from((group, port)),
        IpAddr::V6(group) => SocketAddrV6::new(group, port, 0, LOOPBACK_INDEX).into(),
    };
    // To a group that nobody has joined yet: shows whether there is a way at all.
    sender.send_to(b"anybody?", target)?;
    println!("group {target}, from {}", sender.local_addr()?);

    let mut sockets = vec![first];
    for _ in 1..RECEIVERS {
        sockets.push(receiver(group, port)?);
    }
    for socket in &sockets {
        join(socket, group)?;
    }
    let in_step = Arc::new(Barrier::new(RECEIVERS + 1));
    let mut receivers = Vec::new();
    for (number, socket) in sockets.into_iter().enumerate() {
        let in_step = in_step.clone();
        receivers.push(thread::spawn(move || -> io::Result<u32> {
            let first = hear(number, &socket, BEFORE_LEAVING, PATIENCE);
            let (left, limit) = if number == 0 {
                println!("  receiver {number} leaves the group");
                (leave(&socket, group), SILENCE)
            } else {
                (Ok(()), PATIENCE)
            };
            // Reached by all, whatever befell them: the others wait here.
            in_step.wait();
            left?;
            Ok(first? + hear(number, &socket, AFTER_LEAVING, limit)?)
        }));
    }
    for number in 1..=BEFORE_LEAVING {
        sender.send_to(number.to_string().as_bytes(), target)?;
    }
    in_step.wait();
    for number in BEFORE_LEAVING + 1..=BEFORE_LEAVING + AFTER_LEAVING {
        sender.send_to(number.to_string().as_bytes(), target)?;
    }
    for (number, receiver) in receivers.into_iter().enumerate() {
        let heard = receiver.join().expect("a receiver panicked")?;
        let expected = BEFORE_LEAVING + if number == 0 { 0 } else { AFTER_LEAVING };
        println!("  receiver {number} heard {heard} of {expected}");
        if heard != expected {
            return Err(io::Error::other("a datagram went astray"));
        }
    }
    Ok(())
}

/// Prints up to `most` datagrams and gives their number; a silence of `limit` ends it early.
fn hear(number: usize, socket: &UdpSocket, most: u32, limit: Duration) -> io::Result<u32> {
    socket.set_read_timeout(Some(limit))?;
    let mut buffer = [0; 64];
    for heard in 0..most {
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => {
                let text = String::from_utf8_lossy(&buffer[..len]);
                println!("  receiver {number}: {text:?} from {from}");
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(heard),
            Err(error) => return Err(error),
        }
    }
    Ok(most)
}

/// A socket whose multicast datagrams leave by the loopback interface and go no further.
fn sender(group: IpAddr) -> io::Result<UdpSocket> {
    if group.is_ipv4() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST)?;
        socket.set_multicast_ttl_v4(0)?;
        Ok(socket)
    } else {
        let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0))?;
        SockRef::from(&socket).set_multicast_if_v6(LOOPBACK_INDEX)?;
        SockRef::from(&socket).set_multicast_hops_v6(0)?;
        Ok(socket)
    }
}

/// A socket that shares its port with others, bound to the group so that it hears nothing else.
fn receiver(group: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let address: SocketAddr = match group {
        IpAddr::V4(group) => (group, port).into(),
        IpAddr::V6(group) => SocketAddrV6::new(group, port, 0, LOOPBACK_INDEX).into(),
    };
    // std has no way to set an option before binding.
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_reuse_address(true)?;
    // Linux gives a socket what came for any group that anybody on this machine has joined, unless
    // it is told not to.
    match group {
        IpAddr::V4(_) => socket.set_multicast_all_v4(false)?,
        IpAddr::V6(_) => socket.set_multicast_all_v6(false)?,
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(UdpSocket::from(std::net::UdpSocket::from(socket)))
}

fn join(socket: &UdpSocket, group: IpAddr) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST),
        IpAddr::V6(group) => socket.join_multicast_v6(&group, LOOPBACK_INDEX),
    }
}

fn leave(socket: &UdpSocket, group: IpAddr) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST),
        IpAddr::V6(group) => socket.leave_multicast_v6(&group, LOOPBACK_INDEX),
    }
}
