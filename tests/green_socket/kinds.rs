//! `GreenSocket`: families, and descriptors from elsewhere.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use greenhub::greenio::{Domain, GreenSocket, Protocol, Type};
use test_support::net::*;

use crate::{udp, unix_pair};

#[test]
fn netlink_answers() {
    both_ways(|_| {
        let netlink = Domain::from(libc::AF_NETLINK);
        let route = Protocol::from(libc::NETLINK_ROUTE);
        let socket = GreenSocket::new(netlink, Type::RAW, Some(route)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        // nlmsghdr (length, type, flags, sequence, port) and rtgenmsg: list links.
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        let mut request = Vec::new();
        request.extend(20_u32.to_ne_bytes());
        request.extend(libc::RTM_GETLINK.to_ne_bytes());
        request.extend(flags.to_ne_bytes());
        request.extend(77_u32.to_ne_bytes());
        request.extend([0; 8]);
        assert_eq!(socket.send(&request).unwrap(), 20);
        let mut answer = vec![0; 64 * 1024];
        let (len, sender) = socket.recv_from(&mut answer).unwrap();
        assert!(len > 20);
        assert_eq!(sender.domain(), netlink);
        assert_eq!(answer[4..6], libc::RTM_NEWLINK.to_ne_bytes());
        assert_eq!(answer[8..12], 77_u32.to_ne_bytes());
    });
}

#[test]
fn packet_sockets_see_the_wire() {
    both_ways(|_| {
        let ip_frames = Protocol::from(i32::from((libc::ETH_P_IP as u16).to_be()));
        let socket = match GreenSocket::new(Domain::PACKET, Type::DGRAM, Some(ip_frames)) {
            Ok(socket) => socket,
            // It takes a privilege; without it, the error is the kernel's.
            Err(error) => return assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
        };
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let (sender, receiver) = (udp(), udp());
        let message = format!("seen by {}", socket.as_raw_fd());
        sender
            .send_to(message.as_bytes(), &receiver.local_addr().unwrap())
            .unwrap();
        let mut buf = vec![0; 2048];
        loop {
            let (len, from) = socket.recv_from(&mut buf).unwrap();
            assert_eq!(from.domain(), Domain::PACKET);
            if buf[..len].ends_with(message.as_bytes()) {
                break;
            }
        }
    });
}

#[test]
fn sequenced_packets_keep_their_borders() {
    both_ways(|on| {
        let (one, other) = unix_pair(Type::SEQPACKET);
        let reader = on.spawn(move || {
            let mut buf = [0; 16];
            let lens = [(); 3].map(|()| other.recv(&mut buf).unwrap());
            (lens, other.recv(&mut buf).unwrap())
        });
        for message in ["one", "three", "x"] {
            one.send(message.as_bytes()).unwrap();
        }
        drop(one);
        assert_eq!(reader.join(), ([3, 5, 1], 0));
    });
}

#[test]
fn unknown_families_are_refused() {
    let outcome = GreenSocket::new(Domain::from(9999), Type::STREAM, None);
    assert_raw(outcome, libc::EAFNOSUPPORT);
    let outcome = GreenSocket::pair(Domain::IPV4, Type::STREAM, None);
    assert_raw(outcome, libc::EOPNOTSUPP);
}

#[test]
fn what_a_socket_is() {
    let socket = tcp();
    assert_eq!(socket.domain().unwrap(), Domain::IPV4);
    assert_eq!(socket.r#type().unwrap(), Type::STREAM);
    assert_eq!(socket.protocol().unwrap(), Some(Protocol::TCP));
    assert!(!socket.is_listener().unwrap());
    assert!(tcp_listener().0.is_listener().unwrap());
}

#[test]
fn every_descriptor_is_nonblocking_and_closed_on_exec() {
    let (listener, address) = tcp_listener();
    let client = tcp();
    client.connect(&address).unwrap();
    let (server, _) = listener.accept().unwrap();
    let (one, other) = unix_pair(Type::STREAM);
    let adopted = GreenSocket::from(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    for socket in [&listener, &client, &server, &one, &other, &adopted] {
        assert!(
            socket2::SockRef::from(socket).nonblocking().unwrap(),
            "{socket:?}"
        );
        assert!(!socket.nonblocking());
        let number = socket.as_raw_fd();
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap();
        let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
        assert_ne!(flags & libc::O_CLOEXEC, 0, "{socket:?}: {info}");
    }
}

#[test]
fn a_descriptor_made_blocking_behind_our_back_still_parks() {
    both_ways(|_| {
        let (client, _server) = tcp_pair();
        socket2::SockRef::from(&client)
            .set_nonblocking(false)
            .unwrap();
        client.set_nonblocking(true);
        assert_timed_out(client.recv(&mut [0; 8]));
        client.set_nonblocking(false);
        let limit = Duration::from_millis(50);
        client.set_read_timeout(Some(limit)).unwrap();
        assert_timed_out(takes(limit, || client.recv(&mut [0; 8])));
    });
}

#[test]
fn descriptors_come_from_and_go_to_every_type() {
    both_ways(|_| {
        let (client, server) = tcp_pair();
        let mut client = std::net::TcpStream::from(client);
        client.write_all(b"one").unwrap();
        let client = GreenSocket::from(client);
        client.send_all(b"two").unwrap();
        let client = socket2::Socket::from(client);
        client.send(b"three").unwrap();
        assert!(!client.nonblocking().unwrap());
        drop(GreenSocket::from(OwnedFd::from(client)));
        assert_eq!(io::read_to_string(&server).unwrap(), "onetwothree");
    });
}

#[test]
fn what_is_no_socket_reports_so() {
    both_ways(|_| {
        let file = std::fs::File::open("/dev/null").unwrap();
        let socket = GreenSocket::from(OwnedFd::from(file));
        assert_raw(socket.recv(&mut [0; 8]), libc::ENOTSOCK);
        assert_raw(socket.send(b"x"), libc::ENOTSOCK);
        assert_raw(socket.accept(), libc::ENOTSOCK);
        assert_raw(socket.local_addr(), libc::ENOTSOCK);
        socket.into_owned_fd().unwrap();
    });
}

#[test]
fn a_closed_socket_gives_away_no_living_descriptor() {
    let (client, server) = tcp_pair();
    client.close();
    let clone = client.try_clone().unwrap();
    assert!(clone.is_closed());
    drop(clone);
    if let Ok(descriptor) = client.into_owned_fd() {
        let mut file = std::fs::File::from(descriptor);
        assert!(file.write(b"x").is_err());
    }
    assert_eq!(server.recv(&mut [0; 8]).unwrap(), 0);
}
