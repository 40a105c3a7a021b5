//! `green::net::UdpSocket`, as a user of std meets it.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use green::net::{SocketAddr, UdpSocket};
use test_support::net::*;

const SHORT: Duration = Duration::from_millis(100);

fn bound() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

#[test]
fn datagrams_go_out_by_address_and_connected() {
    both_ways(|_| {
        let (one, other) = (bound(), bound());
        let address = other.local_addr().unwrap();
        let mut buf = [0; 16];
        assert_eq!(one.send_to(b"named", address).unwrap(), 5);
        assert_eq!(
            other.peek_from(&mut buf).unwrap(),
            (5, one.local_addr().unwrap())
        );
        assert_eq!(
            other.recv_from(&mut buf).unwrap(),
            (5, one.local_addr().unwrap())
        );
        assert_eq!(&buf[..5], b"named");

        one.connect(address).unwrap();
        assert_eq!(one.peer_addr().unwrap(), address);
        assert_eq!(one.send(b"connected").unwrap(), 9);
        assert_eq!(other.peek(&mut buf).unwrap(), 9);
        assert_eq!(other.recv(&mut buf).unwrap(), 9);

        // What does not fit is lost.
        one.send(b"too long").unwrap();
        assert_eq!(other.recv(&mut buf[..3]).unwrap(), 3);
        one.send(b"next").unwrap();
        assert_eq!(other.recv(&mut buf).unwrap(), 4);
    });
}

#[test]
fn a_datagram_that_does_not_come_ends_its_wait_at_the_limit() {
    both_ways(|_| {
        let socket = bound();
        socket.set_read_timeout(Some(SHORT)).unwrap();
        let mut buf = [0; 8];
        assert_timed_out(takes(SHORT, || socket.recv(&mut buf)));
        assert_timed_out(takes(SHORT, || socket.recv_from(&mut buf)));
        assert_timed_out(takes(SHORT, || socket.peek(&mut buf)));
        assert_timed_out(takes(SHORT, || socket.peek_from(&mut buf)));
        assert_timed_out(takes(SHORT, || socket.recv(&mut [])));
        socket.set_nonblocking(true).unwrap();
        assert_timed_out(socket.recv(&mut buf));
        assert_kind(
            socket.set_read_timeout(Some(Duration::ZERO)),
            ErrorKind::InvalidInput,
        );
    });
}

#[test]
fn errors_are_those_of_std() {
    both_ways(|_| {
        let socket = bound();
        let none: &[SocketAddr] = &[];
        assert_raw(socket.send(b"x"), libc::EDESTADDRREQ);
        assert_raw(socket.peer_addr(), libc::ENOTCONN);
        assert_raw(socket.send_to(b"x", "[::1]:80"), libc::EAFNOSUPPORT);
        assert_kind(socket.send_to(b"x", none), ErrorKind::InvalidInput);
        assert_kind(socket.connect(none), ErrorKind::InvalidInput);
        assert_raw(
            UdpSocket::bind(socket.local_addr().unwrap()),
            libc::EADDRINUSE,
        );
        let huge = vec![0; 1 << 20];
        let somewhere = socket.local_addr().unwrap();
        assert_raw(socket.send_to(&huge, somewhere), libc::EMSGSIZE);
    });
}

#[test]
fn a_refusal_comes_once_and_the_socket_goes_on() {
    both_ways(|_| {
        let gone = bound();
        let address = gone.local_addr().unwrap();
        drop(gone);
        let socket = bound();
        socket.connect(address).unwrap();
        socket.send(b"anyone?").unwrap();
        assert_raw(socket.recv(&mut [0; 8]), libc::ECONNREFUSED);
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        assert_timed_out(socket.recv(&mut [0; 8]));
    });
}

#[test]
fn every_datagram_reaches_exactly_one_of_many_receivers() {
    both_ways(|on| {
        const RECEIVERS: usize = 4;
        const DATAGRAMS: usize = 400;
        let socket = Arc::new(bound());
        let address = socket.local_addr().unwrap();
        let received = Arc::new(AtomicUsize::new(0));
        let receivers: Vec<_> = (0..RECEIVERS)
            .map(|_| {
                let (socket, received) = (Arc::clone(&socket), Arc::clone(&received));
                on.spawn(move || {
                    let mut seen = Vec::new();
                    let mut buf = [0; 8];
                    loop {
                        match socket.recv(&mut buf).unwrap() {
                            0 => return seen,
                            len => {
                                assert_eq!(len, 4);
                                received.fetch_add(1, SeqCst);
                                seen.push(u32::from_le_bytes(buf[..4].try_into().unwrap()));
                            }
                        }
                    }
                })
            })
            .collect();
        let sender = bound();
        for number in 0..DATAGRAMS {
            // The kernel drops what its buffer does not hold.
            wait_until("room in the buffer", || number < received.load(SeqCst) + 50);
            let bytes = (number as u32).to_le_bytes();
            sender.send_to(&bytes, address).unwrap();
        }
        for _ in 0..RECEIVERS {
            sender.send_to(&[], address).unwrap();
        }
        let mut seen: Vec<u32> = receivers.into_iter().flat_map(Task::join).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..DATAGRAMS as u32));
    });
}

#[test]
fn clones_share_everything() {
    both_ways(|on| {
        let socket = bound();
        let clone = socket.try_clone().unwrap();
        let address = socket.local_addr().unwrap();
        let receiver = on.spawn(move || {
            let mut buf = [0; 8];
            let len = clone.recv(&mut buf).unwrap();
            buf[..len].to_vec()
        });
        bound().send_to(b"hi", address).unwrap();
        assert_eq!(receiver.join(), b"hi");
        assert_eq!(socket.local_addr().unwrap(), address);
    });
}

#[test]
fn multicast_on_loopback() {
    both_ways(|_| {
        let group = Ipv4Addr::new(239, 255, 77, 77);
        let receiver = bound_to_any();
        receiver
            .join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)
            .unwrap();
        receiver
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let sender = bound();
        sender
            .as_green_socket()
            .set_multicast_interface_v4(&Ipv4Addr::LOCALHOST)
            .unwrap();
        let port = receiver.local_addr().unwrap().port();
        sender.send_to(b"all", (group, port)).unwrap();
        let mut buf = [0; 8];
        assert_eq!(receiver.recv(&mut buf).unwrap(), 3);

        receiver
            .leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)
            .unwrap();
        let again = receiver.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST);
        assert_raw(again, libc::EADDRNOTAVAIL);
    });
}

fn bound_to_any() -> UdpSocket {
    UdpSocket::bind("0.0.0.0:0").unwrap()
}

#[test]
fn options_round_trip() {
    let socket = bound();
    socket.set_broadcast(true).unwrap();
    assert!(socket.broadcast().unwrap());
    socket.set_ttl(9).unwrap();
    assert_eq!(socket.ttl().unwrap(), 9);
    socket.set_multicast_loop_v4(false).unwrap();
    assert!(!socket.multicast_loop_v4().unwrap());
    socket.set_multicast_ttl_v4(5).unwrap();
    assert_eq!(socket.multicast_ttl_v4().unwrap(), 5);
    assert!(socket.take_error().unwrap().is_none());
    assert!(!socket.as_green_socket().reuse_address().unwrap());

    let six = UdpSocket::bind("[::1]:0").unwrap();
    six.set_multicast_loop_v6(false).unwrap();
    assert!(!six.multicast_loop_v6().unwrap());
    let group = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 0x77);
    six.join_multicast_v6(&group, 1).unwrap();
    six.leave_multicast_v6(&group, 1).unwrap();
}
