//! `UdpSocket`.

use std::fmt::Debug;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lib::net::{SocketAddr, UdpSocket};
use super::lib::thread;
use super::support::{ANY_PORT, LONG, SHORT, masked, wait_until};
use crate::harness::Transcript;

parity! {
    topic: udp_socket,
    items: [
        "UdpSocket::bind",
        "UdpSocket::recv_from",
        "UdpSocket::peek_from",
        "UdpSocket::send_to",
        "UdpSocket::peer_addr",
        "UdpSocket::local_addr",
        "UdpSocket::try_clone",
        "UdpSocket::set_read_timeout",
        "UdpSocket::set_write_timeout",
        "UdpSocket::read_timeout",
        "UdpSocket::write_timeout",
        "UdpSocket::set_broadcast",
        "UdpSocket::broadcast",
        "UdpSocket::set_multicast_loop_v4",
        "UdpSocket::multicast_loop_v4",
        "UdpSocket::set_multicast_ttl_v4",
        "UdpSocket::multicast_ttl_v4",
        "UdpSocket::set_multicast_loop_v6",
        "UdpSocket::multicast_loop_v6",
        "UdpSocket::set_ttl",
        "UdpSocket::ttl",
        "UdpSocket::join_multicast_v4",
        "UdpSocket::join_multicast_v6",
        "UdpSocket::leave_multicast_v4",
        "UdpSocket::leave_multicast_v6",
        "UdpSocket::take_error",
        "UdpSocket::connect",
        "UdpSocket::send",
        "UdpSocket::recv",
        "UdpSocket::peek",
        "UdpSocket::set_nonblocking",
        "impl Debug for UdpSocket",
    ],
    differs: [],
    bodies: {
        signatures: [],
        binds: ["UdpSocket::bind", "UdpSocket::local_addr"],
        bind_fails: ["UdpSocket::bind"],
        sends_and_receives: ["UdpSocket::send_to", "UdpSocket::recv_from"],
        sends_and_receives_over_ipv6: ["UdpSocket::send_to", "UdpSocket::recv_from"],
        connects: [
            "UdpSocket::connect", "UdpSocket::send", "UdpSocket::recv", "UdpSocket::peer_addr",
        ],
        connect_tries_each_address: ["UdpSocket::connect"],
        connected_hears_its_peer_only: ["UdpSocket::connect", "UdpSocket::recv"],
        unconnected: ["UdpSocket::send", "UdpSocket::peer_addr", "UdpSocket::recv"],
        send_to_fails: ["UdpSocket::send_to"],
        send_to_takes_the_first_address: ["UdpSocket::send_to"],
        nobody_there: ["UdpSocket::send", "UdpSocket::recv", "UdpSocket::take_error"],
        long_datagrams_are_cut: ["UdpSocket::recv_from", "UdpSocket::recv", "UdpSocket::peek"],
        empty_datagrams: ["UdpSocket::send_to", "UdpSocket::recv_from", "UdpSocket::recv"],
        peek_leaves_the_datagram: ["UdpSocket::peek", "UdpSocket::peek_from"],
        timeouts_are_kept: [
            "UdpSocket::set_read_timeout", "UdpSocket::set_write_timeout",
            "UdpSocket::read_timeout", "UdpSocket::write_timeout",
        ],
        read_timeout_expires: ["UdpSocket::set_read_timeout"],
        nonblocking: ["UdpSocket::set_nonblocking"],
        recv_waits: ["UdpSocket::recv_from"],
        two_receivers: ["UdpSocket::recv_from"],
        clones_share: ["UdpSocket::try_clone"],
        broadcast: ["UdpSocket::set_broadcast", "UdpSocket::broadcast"],
        multicast_options: [
            "UdpSocket::set_multicast_loop_v4", "UdpSocket::multicast_loop_v4",
            "UdpSocket::set_multicast_ttl_v4", "UdpSocket::multicast_ttl_v4",
            "UdpSocket::set_multicast_loop_v6", "UdpSocket::multicast_loop_v6",
        ],
        multicast_membership: [
            "UdpSocket::join_multicast_v4", "UdpSocket::leave_multicast_v4",
            "UdpSocket::join_multicast_v6", "UdpSocket::leave_multicast_v6",
        ],
        ttl: ["UdpSocket::set_ttl", "UdpSocket::ttl"],
        debug: ["impl Debug for UdpSocket"],
    },
}

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(ANY_PORT).expect("a socket on loopback");
    socket.set_read_timeout(Some(LONG)).expect("a guard");
    let addr = socket.local_addr().expect("its address");
    (socket, addr)
}

/// Two sockets connected to each other.
fn pair() -> (UdpSocket, UdpSocket) {
    let ((left, left_addr), (right, right_addr)) = (socket(), socket());
    left.connect(right_addr).expect("connect");
    right.connect(left_addr).expect("connect");
    (left, right)
}

/// Compiles only if every method has std's signature.
pub fn signatures(t: &mut Transcript) {
    use std::io::Result;
    use std::net as std_net;
    type Received = Result<(usize, std_net::SocketAddr)>;
    let _: fn(String) -> Result<UdpSocket> = UdpSocket::bind::<String>;
    let _: fn(&UdpSocket, &mut [u8]) -> Received = UdpSocket::recv_from;
    let _: fn(&UdpSocket, &mut [u8]) -> Received = UdpSocket::peek_from;
    let _: fn(&UdpSocket, &[u8], String) -> Result<usize> = UdpSocket::send_to::<String>;
    let _: fn(&UdpSocket) -> Result<std_net::SocketAddr> = UdpSocket::peer_addr;
    let _: fn(&UdpSocket) -> Result<std_net::SocketAddr> = UdpSocket::local_addr;
    let _: fn(&UdpSocket) -> Result<UdpSocket> = UdpSocket::try_clone;
    let _: fn(&UdpSocket, Option<Duration>) -> Result<()> = UdpSocket::set_read_timeout;
    let _: fn(&UdpSocket, Option<Duration>) -> Result<()> = UdpSocket::set_write_timeout;
    let _: fn(&UdpSocket) -> Result<Option<Duration>> = UdpSocket::read_timeout;
    let _: fn(&UdpSocket) -> Result<Option<Duration>> = UdpSocket::write_timeout;
    let _: fn(&UdpSocket, bool) -> Result<()> = UdpSocket::set_broadcast;
    let _: fn(&UdpSocket) -> Result<bool> = UdpSocket::broadcast;
    let _: fn(&UdpSocket, bool) -> Result<()> = UdpSocket::set_multicast_loop_v4;
    let _: fn(&UdpSocket) -> Result<bool> = UdpSocket::multicast_loop_v4;
    let _: fn(&UdpSocket, u32) -> Result<()> = UdpSocket::set_multicast_ttl_v4;
    let _: fn(&UdpSocket) -> Result<u32> = UdpSocket::multicast_ttl_v4;
    let _: fn(&UdpSocket, bool) -> Result<()> = UdpSocket::set_multicast_loop_v6;
    let _: fn(&UdpSocket) -> Result<bool> = UdpSocket::multicast_loop_v6;
    let _: fn(&UdpSocket, u32) -> Result<()> = UdpSocket::set_ttl;
    let _: fn(&UdpSocket) -> Result<u32> = UdpSocket::ttl;
    let _: fn(&UdpSocket, &Ipv4Addr, &Ipv4Addr) -> Result<()> = UdpSocket::join_multicast_v4;
    let _: fn(&UdpSocket, &Ipv6Addr, u32) -> Result<()> = UdpSocket::join_multicast_v6;
    let _: fn(&UdpSocket, &Ipv4Addr, &Ipv4Addr) -> Result<()> = UdpSocket::leave_multicast_v4;
    let _: fn(&UdpSocket, &Ipv6Addr, u32) -> Result<()> = UdpSocket::leave_multicast_v6;
    let _: fn(&UdpSocket) -> Result<Option<std::io::Error>> = UdpSocket::take_error;
    let _: fn(&UdpSocket, String) -> Result<()> = UdpSocket::connect::<String>;
    let _: fn(&UdpSocket, &[u8]) -> Result<usize> = UdpSocket::send;
    let _: fn(&UdpSocket, &mut [u8]) -> Result<usize> = UdpSocket::recv;
    let _: fn(&UdpSocket, &mut [u8]) -> Result<usize> = UdpSocket::peek;
    let _: fn(&UdpSocket, bool) -> Result<()> = UdpSocket::set_nonblocking;
    t.see("compiles", true);
}

pub fn binds(t: &mut Transcript) {
    let (_kept, addr) = socket();
    t.see("a port was chosen", addr.port() != 0);
    t.see("ip", addr.ip());
    t.outcome("IPv6", &UdpSocket::bind("[::1]:0"));
    t.outcome("by name", &UdpSocket::bind(("localhost", 0)));
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    t.outcome("the second is free", &UdpSocket::bind(&[addr, free][..]));
}

pub fn bind_fails(t: &mut Transcript) {
    let (_kept, addr) = socket();
    t.outcome("in use", &UdpSocket::bind(addr));
    t.outcome("no addresses", &UdpSocket::bind(&[][..]));
    t.outcome("no port", &UdpSocket::bind("127.0.0.1"));
    t.outcome("none is free", &UdpSocket::bind(&[addr, addr][..]));
}

pub fn sends_and_receives(t: &mut Transcript) {
    let ((left, left_addr), (right, right_addr)) = (socket(), socket());
    t.result("send", &left.send_to(b"ping", right_addr));
    let mut buffer = [0; 16];
    let (count, from) = right.recv_from(&mut buffer).expect("receive");
    t.see("received", &buffer[..count]);
    t.see("from", from == left_addr);
    t.result("send back", &right.send_to(b"pong!", from.to_string()));
    let (count, from) = left.recv_from(&mut buffer).expect("receive");
    t.see("received", &buffer[..count]);
    t.see("from", from == right_addr);
    t.result("to itself", &left.send_to(b"me", left_addr));
    t.see(
        "from itself",
        left.recv_from(&mut buffer).ok() == Some((2, left_addr)),
    );
}

pub fn sends_and_receives_over_ipv6(t: &mut Transcript) {
    let left = UdpSocket::bind("[::1]:0").expect("bind");
    let right = UdpSocket::bind("[::1]:0").expect("bind");
    let target = right.local_addr().expect("address");
    t.result("send", &left.send_to(b"six", target));
    let (count, from) = right.recv_from(&mut [0; 8]).expect("receive");
    t.see("received", count);
    t.see("from", Some(from) == left.local_addr().ok());
    t.outcome("an IPv4 address", &left.send_to(b"four", "127.0.0.1:9"));
}

pub fn connects(t: &mut Transcript) {
    let (left, right) = pair();
    t.see("peer", left.peer_addr().ok() == right.local_addr().ok());
    let mut buffer = [0; 8];
    t.result("send", &left.send(b"abc"));
    t.result("recv", &right.recv(&mut buffer));
    t.see("data", &buffer[..3]);
    t.result("send", &right.send(b"d"));
    t.outcome("recv_from", &left.recv_from(&mut buffer));
    // Connecting again changes the peer.
    let (other, other_addr) = socket();
    t.result("connect again", &left.connect(other_addr));
    t.see("new peer", left.peer_addr().ok() == Some(other_addr));
    t.result("send", &left.send(b"new"));
    t.result("recv", &other.recv(&mut buffer));
    let addr = other.local_addr().expect("address");
    t.result("send_to while connected", &left.send_to(b"to", addr));
    t.result("recv", &other.recv(&mut buffer));
}

pub fn connect_tries_each_address(t: &mut Transcript) {
    let (left, _) = socket();
    let (_right, good) = socket();
    let six = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], good.port()));
    t.outcome("none", &left.connect(&[][..]));
    t.result("another family first", &left.connect(&[six, good][..]));
    t.see("peer", left.peer_addr().ok() == Some(good));
    t.outcome("another family only", &left.connect(six));
}

pub fn connected_hears_its_peer_only(t: &mut Transcript) {
    let ((left, left_addr), (right, right_addr), (other, _)) = (socket(), socket(), socket());
    left.connect(right_addr).expect("connect");
    t.result("a stranger sends", &other.send_to(b"stranger", left_addr));
    t.result("the peer sends", &right.send_to(b"peer", left_addr));
    t.result("recv", &left.recv(&mut [0; 16]));
    left.set_nonblocking(true).expect("set");
    t.result("nothing more", &left.recv(&mut [0; 16]));
}

pub fn unconnected(t: &mut Transcript) {
    let ((left, left_addr), (right, _)) = (socket(), socket());
    t.result("send", &left.send(b"nowhere"));
    t.outcome("peer", &left.peer_addr());
    t.result("a datagram", &right.send_to(b"any", left_addr));
    t.result("recv takes it", &left.recv(&mut [0; 8]));
}

pub fn send_to_fails(t: &mut Transcript) {
    let (left, left_addr) = socket();
    t.result("no address", &left.send_to(b"x", &[][..]));
    t.result("no port", &left.send_to(b"x", "127.0.0.1"));
    t.result("an IPv6 address", &left.send_to(b"x", "[::1]:9"));
    t.result("port 0", &left.send_to(b"x", "127.0.0.1:0"));
    t.result("too long", &left.send_to(&vec![0; 65_508], left_addr));
    t.result("the longest", &left.send_to(&vec![0; 65_507], left_addr));
    t.outcome("arrives", &left.recv(&mut vec![0; 65_536]));
}

pub fn send_to_takes_the_first_address(t: &mut Transcript) {
    let ((left, _), (first, first_addr), (second, second_addr)) = (socket(), socket(), socket());
    t.result(
        "send",
        &left.send_to(b"one", &[first_addr, second_addr][..]),
    );
    t.result("the first has it", &first.recv(&mut [0; 8]));
    second.set_nonblocking(true).expect("set");
    t.result("the second has not", &second.recv(&mut [0; 8]));
}

pub fn nobody_there(t: &mut Transcript) {
    let (left, right) = pair();
    drop(right);
    t.result("send", &left.send(b"x"));
    t.result("recv", &left.recv(&mut [0; 8]));
    t.see("reported once", left.take_error().expect("take").is_none());
    t.result("send", &left.send(b"x"));
    let mut error = None;
    wait_until("the refusal has arrived", || {
        error = left.take_error().expect("take");
        error.is_some()
    });
    t.outcome("error", &Err::<(), _>(error.expect("an error")));
    t.result("send", &left.send(b"x"));
    t.result("the refusal of the last", &left.send(b"y"));
}

pub fn long_datagrams_are_cut(t: &mut Transcript) {
    let (left, right) = pair();
    let mut buffer = [0; 3];
    for _ in 0..2 {
        t.result("send", &left.send(b"abcdef"));
    }
    t.result("peek", &right.peek(&mut buffer));
    t.see(
        "peeked",
        right.peek_from(&mut buffer).map(|(count, _)| count).ok(),
    );
    t.result("recv", &right.recv(&mut buffer));
    t.see("data", buffer);
    t.see(
        "recv_from",
        right.recv_from(&mut buffer).map(|(count, _)| count).ok(),
    );
    t.result("set", &right.set_nonblocking(true));
    t.result("the rest is gone", &right.recv(&mut buffer));
}

pub fn empty_datagrams(t: &mut Transcript) {
    let (left, right) = pair();
    let mut buffer = [0; 8];
    t.result("send", &left.send(b""));
    t.result("recv", &right.recv(&mut buffer));
    t.result(
        "send_to",
        &left.send_to(b"", right.local_addr().expect("address")),
    );
    t.see(
        "recv_from",
        right.recv_from(&mut buffer).map(|(count, _)| count).ok(),
    );
    t.result("send", &left.send(b"data"));
    t.result("recv into nothing", &right.recv(&mut []));
    t.result("set", &right.set_read_timeout(Some(SHORT)));
    t.result("it is gone", &right.recv(&mut buffer));
    t.result("recv into nothing expires", &right.recv(&mut []));
}

pub fn peek_leaves_the_datagram(t: &mut Transcript) {
    let (left, right) = pair();
    let mut buffer = [0; 8];
    left.send(b"look").expect("send");
    t.result("peek", &right.peek(&mut buffer));
    let (count, from) = right.peek_from(&mut buffer).expect("peek");
    t.see("peek_from", count);
    t.see("from", left.local_addr().ok() == Some(from));
    t.result("recv", &right.recv(&mut buffer));
    right.set_nonblocking(true).expect("set");
    t.result("peek", &right.peek(&mut buffer));
    t.outcome("peek_from", &right.peek_from(&mut buffer));
}

pub fn timeouts_are_kept(t: &mut Transcript) {
    let left = UdpSocket::bind(ANY_PORT).expect("bind");
    t.result("read, at first", &left.read_timeout());
    t.result("write, at first", &left.write_timeout());
    let limit = Duration::from_millis(1500);
    t.result("set read", &left.set_read_timeout(Some(limit)));
    t.result("set write", &left.set_write_timeout(Some(limit * 3)));
    t.result("read", &left.read_timeout());
    t.result("write", &left.write_timeout());
    t.result("read zero", &left.set_read_timeout(Some(Duration::ZERO)));
    t.result("write zero", &left.set_write_timeout(Some(Duration::ZERO)));
    t.result("read stays", &left.read_timeout());
    t.result("unset", &left.set_read_timeout(None));
    t.result("unset", &left.set_write_timeout(None));
    t.result("read", &left.read_timeout());
    t.result("write", &left.write_timeout());
}

pub fn read_timeout_expires(t: &mut Transcript) {
    let (left, addr) = socket();
    left.set_read_timeout(Some(SHORT)).expect("set");
    let mut buffer = [0; 8];
    let start = Instant::now();
    t.outcome("recv_from", &left.recv_from(&mut buffer));
    t.see("waited", start.elapsed() >= SHORT);
    t.outcome("recv", &left.recv(&mut buffer));
    t.outcome("peek", &left.peek(&mut buffer));
    t.outcome("peek_from", &left.peek_from(&mut buffer));
    t.result("send", &left.send_to(b"late", addr));
    t.result("recv", &left.recv(&mut buffer));
}

pub fn nonblocking(t: &mut Transcript) {
    let (left, addr) = socket();
    t.result("set", &left.set_nonblocking(true));
    let mut buffer = [0; 8];
    t.outcome("recv_from", &left.recv_from(&mut buffer));
    t.outcome("recv", &left.recv(&mut buffer));
    t.outcome("peek", &left.peek(&mut buffer));
    t.outcome("peek_from", &left.peek_from(&mut buffer));
    t.result("send", &left.send_to(b"data", addr));
    wait_until("data arrives", || left.peek(&mut buffer).is_ok());
    t.result("recv", &left.recv(&mut buffer));
    t.result("unset", &left.set_nonblocking(false));
    t.result("expire", &left.set_read_timeout(Some(SHORT)));
    t.outcome("recv", &left.recv(&mut buffer));
}

pub fn recv_waits(t: &mut Transcript) {
    let ((left, left_addr), (right, _)) = (socket(), socket());
    let receiver = thread::spawn(move || left.recv_from(&mut [0; 8]).map(|(count, _)| count));
    thread::sleep(Duration::from_millis(10));
    t.result("send", &right.send_to(b"wake", left_addr));
    t.result("received", &receiver.join().expect("the receiver"));
}

pub fn two_receivers(t: &mut Transcript) {
    let ((left, left_addr), (right, _)) = (socket(), socket());
    let left = Arc::new(left);
    let receivers = [(); 2].map(|()| {
        let left = Arc::clone(&left);
        thread::spawn(move || left.recv(&mut [0; 8]).expect("receive"))
    });
    thread::sleep(Duration::from_millis(10));
    for _ in 0..2 {
        right.send_to(b"one each", left_addr).expect("send");
    }
    for receiver in receivers {
        t.see("received", receiver.join().expect("a receiver"));
    }
}

pub fn clones_share(t: &mut Transcript) {
    let (left, addr) = socket();
    let clone = left.try_clone().expect("clone");
    t.see("same address", clone.local_addr().ok() == Some(addr));
    t.result("timeout of the clone", &clone.read_timeout());
    clone.set_nonblocking(true).expect("set");
    t.result("non-blocking by the clone", &left.recv(&mut [0; 8]));
    clone.set_nonblocking(false).expect("set");
    t.result("send", &clone.send_to(b"x", addr));
    t.result("recv", &left.recv(&mut [0; 8]));
    clone.connect(addr).expect("connect");
    t.see(
        "connected by the clone",
        left.peer_addr().ok() == Some(addr),
    );
    drop(left);
    t.result("send", &clone.send(b"y"));
    t.result("recv", &clone.recv(&mut [0; 8]));
}

pub fn broadcast(t: &mut Transcript) {
    let receiver = UdpSocket::bind("0.0.0.0:0").expect("bind");
    let port = receiver.local_addr().expect("address").port();
    let (left, _) = socket();
    t.result("broadcast", &left.broadcast());
    t.result("refused", &left.send_to(b"all", ("127.255.255.255", port)));
    t.result("set", &left.set_broadcast(true));
    t.result("broadcast", &left.broadcast());
    t.result("allowed", &left.send_to(b"all", ("127.255.255.255", port)));
    t.result("unset", &left.set_broadcast(false));
    t.result("broadcast", &left.broadcast());
}

pub fn multicast_options(t: &mut Transcript) {
    let (four, _) = socket();
    t.result("loop", &four.multicast_loop_v4());
    t.result("set", &four.set_multicast_loop_v4(false));
    t.result("loop", &four.multicast_loop_v4());
    t.result("ttl", &four.multicast_ttl_v4());
    t.result("set", &four.set_multicast_ttl_v4(9));
    t.result("ttl", &four.multicast_ttl_v4());
    t.result("too large", &four.set_multicast_ttl_v4(256));
    t.result("zero", &four.set_multicast_ttl_v4(0));
    t.result("ttl", &four.multicast_ttl_v4());
    t.result("IPv6 option", &four.multicast_loop_v6());
    t.result("set IPv6 option", &four.set_multicast_loop_v6(true));
    let six = UdpSocket::bind("[::1]:0").expect("bind");
    t.result("loop", &six.multicast_loop_v6());
    t.result("set", &six.set_multicast_loop_v6(false));
    t.result("loop", &six.multicast_loop_v6());
    t.result("IPv4 option", &six.multicast_loop_v4());
}

pub fn multicast_membership(t: &mut Transcript) {
    /// The kernel's number of the loopback interface.
    const LOOPBACK: u32 = 1;
    let (four, _) = socket();
    let group = Ipv4Addr::new(239, 1, 2, 3);
    let interface = Ipv4Addr::LOCALHOST;
    t.result("join", &four.join_multicast_v4(&group, &interface));
    t.result("twice", &four.join_multicast_v4(&group, &interface));
    t.result("leave", &four.leave_multicast_v4(&group, &interface));
    t.result("twice", &four.leave_multicast_v4(&group, &interface));
    t.result(
        "not a group",
        &four.join_multicast_v4(&Ipv4Addr::LOCALHOST, &interface),
    );
    let six = UdpSocket::bind("[::1]:0").expect("bind");
    let group = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0x12, 0x34);
    t.result("join", &six.join_multicast_v6(&group, LOOPBACK));
    t.result("twice", &six.join_multicast_v6(&group, LOOPBACK));
    t.result("leave", &six.leave_multicast_v6(&group, LOOPBACK));
    t.result("twice", &six.leave_multicast_v6(&group, LOOPBACK));
    t.result(
        "not a group",
        &six.join_multicast_v6(&Ipv6Addr::LOCALHOST, LOOPBACK),
    );
    t.result(
        "no such interface",
        &six.join_multicast_v6(&group, u32::MAX),
    );
}

pub fn ttl(t: &mut Transcript) {
    let (left, _) = socket();
    t.result("ttl", &left.ttl());
    t.result("set", &left.set_ttl(5));
    t.result("ttl", &left.ttl());
    t.result("zero", &left.set_ttl(0));
    t.result("too large", &left.set_ttl(256));
    t.see("no error", left.take_error().expect("take").is_none());
}

pub fn debug(t: &mut Transcript) {
    let (left, addr) = socket();
    let fd = left.as_raw_fd();
    let hidden: [(&dyn Debug, &str); 2] = [(&addr, "ADDR"), (&fd, "FD")];
    t.see("unconnected", masked(&left, &hidden));
    left.connect(addr).expect("connect");
    t.see("connected", masked(&left, &hidden));
}
