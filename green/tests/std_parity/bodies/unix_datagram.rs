//! `os::unix::net::UnixDatagram`.

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lib::net::Shutdown;
use super::lib::os::linux::net::SocketAddrExt;
use super::lib::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use super::lib::thread;
use super::support::{SHORT, directory, masked};
use crate::harness::Transcript;

parity! {
    topic: unix_datagram,
    items: [
        "UnixDatagram::bind",
        "UnixDatagram::bind_addr",
        "UnixDatagram::unbound",
        "UnixDatagram::pair",
        "UnixDatagram::connect",
        "UnixDatagram::connect_addr",
        "UnixDatagram::try_clone",
        "UnixDatagram::local_addr",
        "UnixDatagram::peer_addr",
        "UnixDatagram::recv_from",
        "UnixDatagram::recv",
        "UnixDatagram::send_to",
        "UnixDatagram::send_to_addr",
        "UnixDatagram::send",
        "UnixDatagram::set_read_timeout",
        "UnixDatagram::set_write_timeout",
        "UnixDatagram::read_timeout",
        "UnixDatagram::write_timeout",
        "UnixDatagram::set_nonblocking",
        "UnixDatagram::take_error",
        "UnixDatagram::shutdown",
        "impl Debug for UnixDatagram",
    ],
    differs: [],
    bodies: {
        signatures: [],
        binds_and_sends_by_path: [
            "UnixDatagram::bind", "UnixDatagram::send_to", "UnixDatagram::recv_from",
            "UnixDatagram::local_addr",
        ],
        abstract_names: [
            "UnixDatagram::bind_addr", "UnixDatagram::send_to_addr",
            "UnixDatagram::connect_addr",
        ],
        bind_fails: ["UnixDatagram::bind", "UnixDatagram::bind_addr"],
        unbound: ["UnixDatagram::unbound", "UnixDatagram::peer_addr", "UnixDatagram::send"],
        pair_talks: ["UnixDatagram::pair", "UnixDatagram::send", "UnixDatagram::recv"],
        connects: ["UnixDatagram::connect", "UnixDatagram::send", "UnixDatagram::peer_addr"],
        connect_fails: ["UnixDatagram::connect", "UnixDatagram::connect_addr"],
        connected_hears_its_peer_only: ["UnixDatagram::connect", "UnixDatagram::send_to"],
        send_to_fails: ["UnixDatagram::send_to", "UnixDatagram::send_to_addr"],
        long_and_empty_datagrams: ["UnixDatagram::recv", "UnixDatagram::recv_from"],
        timeouts_are_kept: [
            "UnixDatagram::set_read_timeout", "UnixDatagram::set_write_timeout",
            "UnixDatagram::read_timeout", "UnixDatagram::write_timeout",
        ],
        read_timeout_expires: ["UnixDatagram::set_read_timeout"],
        full_queue: [
            "UnixDatagram::set_write_timeout", "UnixDatagram::set_nonblocking",
            "UnixDatagram::send",
        ],
        full_queue_of_another: ["UnixDatagram::send_to"],
        nonblocking: ["UnixDatagram::set_nonblocking"],
        peer_goes_away: ["UnixDatagram::send", "UnixDatagram::recv", "UnixDatagram::take_error"],
        shutdown: ["UnixDatagram::shutdown"],
        recv_waits: ["UnixDatagram::recv_from"],
        two_receivers: ["UnixDatagram::recv"],
        clones_share: ["UnixDatagram::try_clone"],
        debug: ["impl Debug for UnixDatagram"],
    },
}

/// Compiles only if every method has std's signature.
pub fn signatures(t: &mut Transcript) {
    use std::io::Result;
    use std::os::unix::net as std_net;
    type Received = Result<(usize, std_net::SocketAddr)>;
    let _: fn(PathBuf) -> Result<UnixDatagram> = UnixDatagram::bind::<PathBuf>;
    let _: fn(&std_net::SocketAddr) -> Result<UnixDatagram> = UnixDatagram::bind_addr;
    let _: fn() -> Result<UnixDatagram> = UnixDatagram::unbound;
    let _: fn() -> Result<(UnixDatagram, UnixDatagram)> = UnixDatagram::pair;
    let _: fn(&UnixDatagram, PathBuf) -> Result<()> = UnixDatagram::connect::<PathBuf>;
    let _: fn(&UnixDatagram, &std_net::SocketAddr) -> Result<()> = UnixDatagram::connect_addr;
    let _: fn(&UnixDatagram) -> Result<UnixDatagram> = UnixDatagram::try_clone;
    let _: fn(&UnixDatagram) -> Result<std_net::SocketAddr> = UnixDatagram::local_addr;
    let _: fn(&UnixDatagram) -> Result<std_net::SocketAddr> = UnixDatagram::peer_addr;
    let _: fn(&UnixDatagram, &mut [u8]) -> Received = UnixDatagram::recv_from;
    let _: fn(&UnixDatagram, &mut [u8]) -> Result<usize> = UnixDatagram::recv;
    let _: fn(&UnixDatagram, &[u8], PathBuf) -> Result<usize> = UnixDatagram::send_to::<PathBuf>;
    let _: fn(&UnixDatagram, &[u8], &std_net::SocketAddr) -> Result<usize> =
        UnixDatagram::send_to_addr;
    let _: fn(&UnixDatagram, &[u8]) -> Result<usize> = UnixDatagram::send;
    let _: fn(&UnixDatagram, Option<Duration>) -> Result<()> = UnixDatagram::set_read_timeout;
    let _: fn(&UnixDatagram, Option<Duration>) -> Result<()> = UnixDatagram::set_write_timeout;
    let _: fn(&UnixDatagram) -> Result<Option<Duration>> = UnixDatagram::read_timeout;
    let _: fn(&UnixDatagram) -> Result<Option<Duration>> = UnixDatagram::write_timeout;
    let _: fn(&UnixDatagram, bool) -> Result<()> = UnixDatagram::set_nonblocking;
    let _: fn(&UnixDatagram) -> Result<Option<std::io::Error>> = UnixDatagram::take_error;
    let _: fn(&UnixDatagram, std::net::Shutdown) -> Result<()> = UnixDatagram::shutdown;
    t.see("compiles", true);
}

pub fn binds_and_sends_by_path(t: &mut Transcript) {
    let (_kept, path) = directory();
    let left = UnixDatagram::bind(path("left")).expect("bind");
    let right = UnixDatagram::bind(path("right")).expect("bind");
    let local = left.local_addr().expect("address");
    t.see("local", local.as_pathname() == Some(&*path("left")));
    t.result("send", &left.send_to(b"ping", path("right")));
    let mut buffer = [0; 8];
    let (count, from) = right.recv_from(&mut buffer).expect("receive");
    t.see("data", &buffer[..count]);
    t.see("from", from.as_pathname() == Some(&*path("left")));
    t.result("answer", &right.send_to_addr(b"pong!", &from));
    t.result("recv", &left.recv(&mut buffer));
    let nameless = UnixDatagram::unbound().expect("unbound");
    t.result("send", &nameless.send_to(b"who", path("right")));
    t.result("from nobody", &right.recv_from(&mut buffer));
}

pub fn abstract_names(t: &mut Transcript) {
    let name = format!("green parity {:?}", directory().0.path());
    let addr = SocketAddr::from_abstract_name(&name).expect("address");
    let server = UnixDatagram::bind_addr(&addr).expect("bind");
    let local = server.local_addr().expect("address");
    t.see("local", local.as_abstract_name() == Some(name.as_bytes()));
    t.outcome("in use", &UnixDatagram::bind_addr(&addr));
    let client = UnixDatagram::unbound().expect("unbound");
    t.result("send_to_addr", &client.send_to_addr(b"x", &addr));
    t.result("recv", &server.recv(&mut [0; 8]));
    t.result("connect_addr", &client.connect_addr(&addr));
    t.result("send", &client.send(b"yy"));
    t.result("recv_from", &server.recv_from(&mut [0; 8]));
    let peer = client.peer_addr().expect("peer");
    t.see("peer", peer.as_abstract_name() == Some(name.as_bytes()));
    drop(server);
    t.result("nobody there", &client.send_to_addr(b"x", &addr));
}

pub fn bind_fails(t: &mut Transcript) {
    let (_kept, path) = directory();
    let _taken = UnixDatagram::bind(path("taken")).expect("bind");
    t.outcome("taken", &UnixDatagram::bind(path("taken")));
    t.outcome("no such directory", &UnixDatagram::bind(path("none/none")));
    t.outcome("NUL in the path", &UnixDatagram::bind("a\0b"));
    t.outcome("too long", &UnixDatagram::bind("x".repeat(108)));
    let addr = SocketAddr::from_pathname(path("taken")).expect("address");
    t.outcome("taken, by address", &UnixDatagram::bind_addr(&addr));
}

pub fn unbound(t: &mut Transcript) {
    let socket = UnixDatagram::unbound().expect("unbound");
    t.result("local", &socket.local_addr());
    t.result("peer", &socket.peer_addr());
    t.result("send", &socket.send(b"nowhere"));
    t.result("shutdown", &socket.shutdown(Shutdown::Both));
    t.see("no error", socket.take_error().expect("take").is_none());
}

pub fn pair_talks(t: &mut Transcript) {
    let (left, right) = UnixDatagram::pair().expect("pair");
    t.result("local", &left.local_addr());
    t.result("peer", &left.peer_addr());
    let mut buffer = [0; 8];
    t.result("send", &left.send(b"ping"));
    t.result("recv", &right.recv(&mut buffer));
    t.see("data", &buffer[..4]);
    t.result("send", &right.send(b"pong!"));
    t.result("recv_from", &left.recv_from(&mut buffer));
}

pub fn connects(t: &mut Transcript) {
    let (_kept, path) = directory();
    let first = UnixDatagram::bind(path("first")).expect("bind");
    let second = UnixDatagram::bind(path("second")).expect("bind");
    let client = UnixDatagram::unbound().expect("unbound");
    t.result("connect", &client.connect(path("first")));
    let peer = client.peer_addr().expect("peer");
    t.see("peer", peer.as_pathname() == Some(&*path("first")));
    t.result("send", &client.send(b"one"));
    t.result("recv", &first.recv(&mut [0; 8]));
    t.result("connect again", &client.connect(path("second")));
    t.result("send", &client.send(b"three"));
    t.result("recv", &second.recv(&mut [0; 8]));
    t.result(
        "send_to while connected",
        &client.send_to(b"to", path("first")),
    );
    t.result("recv", &first.recv(&mut [0; 8]));
}

pub fn connect_fails(t: &mut Transcript) {
    let (_kept, path) = directory();
    let client = UnixDatagram::unbound().expect("unbound");
    t.result("no such path", &client.connect(path("none")));
    std::fs::write(path("file"), b"").expect("a file");
    t.result("a file", &client.connect(path("file")));
    drop(UnixDatagram::bind(path("stale")).expect("bind"));
    t.result("nobody there", &client.connect(path("stale")));
    let _stream = UnixListener::bind(path("stream")).expect("bind");
    t.result("another type", &client.connect(path("stream")));
    t.result("NUL in the path", &client.connect("a\0b"));
    t.result("too long", &client.connect("x".repeat(108)));
    let none = SocketAddr::from_pathname(path("none")).expect("address");
    t.result("by address", &client.connect_addr(&none));
}

pub fn connected_hears_its_peer_only(t: &mut Transcript) {
    let (_kept, path) = directory();
    let server = UnixDatagram::bind(path("server")).expect("bind");
    let friend = UnixDatagram::bind(path("friend")).expect("bind");
    server.connect(path("friend")).expect("connect");
    let stranger = UnixDatagram::unbound().expect("unbound");
    t.result("a stranger", &stranger.send_to(b"x", path("server")));
    t.result("the friend", &friend.send_to(b"yy", path("server")));
    t.result("recv", &server.recv(&mut [0; 8]));
}

pub fn send_to_fails(t: &mut Transcript) {
    let (_kept, path) = directory();
    let client = UnixDatagram::unbound().expect("unbound");
    t.result("no such path", &client.send_to(b"x", path("none")));
    drop(UnixDatagram::bind(path("stale")).expect("bind"));
    t.result("nobody there", &client.send_to(b"x", path("stale")));
    let _stream = UnixListener::bind(path("stream")).expect("bind");
    t.result("another type", &client.send_to(b"x", path("stream")));
    t.result("NUL in the path", &client.send_to(b"x", "a\0b"));
    t.result("too long a path", &client.send_to(b"x", "x".repeat(108)));
    let none = SocketAddr::from_pathname(path("none")).expect("address");
    t.result("by address", &client.send_to_addr(b"x", &none));
    let _server = UnixDatagram::bind(path("server")).expect("bind");
    t.result(
        "too long a datagram",
        &client.send_to(&vec![0; 64 << 20], path("server")),
    );
}

pub fn long_and_empty_datagrams(t: &mut Transcript) {
    let (left, right) = UnixDatagram::pair().expect("pair");
    let mut buffer = [0; 3];
    t.result("send", &left.send(b"abcdef"));
    t.result("send", &left.send(b"ghijkl"));
    t.result("send", &left.send(b""));
    t.result("recv", &right.recv(&mut buffer));
    t.see("data", buffer);
    t.result("recv_from", &right.recv_from(&mut buffer));
    t.see("data", buffer);
    t.result("empty", &right.recv(&mut buffer));
    t.result("send", &left.send(b"data"));
    t.result("into nothing", &right.recv(&mut []));
    t.result("set", &right.set_nonblocking(true));
    t.result("it is gone", &right.recv(&mut buffer));
}

pub fn timeouts_are_kept(t: &mut Transcript) {
    let (left, _right) = UnixDatagram::pair().expect("pair");
    t.result("read, at first", &left.read_timeout());
    t.result("write, at first", &left.write_timeout());
    let limit = Duration::from_secs(4);
    t.result("set read", &left.set_read_timeout(Some(limit)));
    t.result("set write", &left.set_write_timeout(Some(limit * 2)));
    t.result("read", &left.read_timeout());
    t.result("write", &left.write_timeout());
    t.result("read zero", &left.set_read_timeout(Some(Duration::ZERO)));
    t.result("write zero", &left.set_write_timeout(Some(Duration::ZERO)));
    t.result("unset", &left.set_read_timeout(None));
    t.result("unset", &left.set_write_timeout(None));
    t.result("read", &left.read_timeout());
    t.result("write", &left.write_timeout());
}

pub fn read_timeout_expires(t: &mut Transcript) {
    let (left, right) = UnixDatagram::pair().expect("pair");
    left.set_read_timeout(Some(SHORT)).expect("set");
    let start = Instant::now();
    t.result("recv", &left.recv(&mut [0; 8]));
    t.see("waited", start.elapsed() >= SHORT);
    t.result("recv_from", &left.recv_from(&mut [0; 8]));
    t.result("send", &right.send(b"late"));
    t.result("recv", &left.recv(&mut [0; 8]));
}

pub fn full_queue(t: &mut Transcript) {
    let (left, right) = UnixDatagram::pair().expect("pair");
    left.set_nonblocking(true).expect("set");
    let mut sent = 0;
    let error = loop {
        match left.send(b"fill") {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    t.see("sent", sent);
    t.outcome("non-blocking", &Err::<(), _>(error));
    left.set_nonblocking(false).expect("set");
    left.set_write_timeout(Some(SHORT)).expect("set");
    let start = Instant::now();
    t.result("with a timeout", &left.send(b"more"));
    t.see("waited", start.elapsed() >= SHORT);
    left.set_write_timeout(None).expect("set");
    let receiver = thread::spawn(move || {
        thread::sleep(Duration::from_millis(10));
        for _ in 0..sent {
            right.recv(&mut [0; 8]).expect("receive");
        }
        right.recv(&mut [0; 8])
    });
    t.result("waits for room", &left.send(b"at last"));
    t.result("received", &receiver.join().expect("the receiver"));
}

pub fn full_queue_of_another(t: &mut Transcript) {
    let (_kept, path) = directory();
    let server = UnixDatagram::bind(path("server")).expect("bind");
    let client = UnixDatagram::unbound().expect("unbound");
    client.set_nonblocking(true).expect("set");
    let mut sent = 0;
    while client.send_to(b"fill", path("server")).is_ok() {
        sent += 1;
    }
    t.see("sent", sent);
    client.set_nonblocking(false).expect("set");
    client.set_write_timeout(Some(SHORT)).expect("set");
    t.result("with a timeout", &client.send_to(b"more", path("server")));
    client.set_write_timeout(None).expect("set");
    let receiver = thread::spawn(move || {
        thread::sleep(Duration::from_millis(10));
        let received: Vec<usize> = (0..=sent)
            .map(|_| server.recv(&mut [0; 8]).expect("receive"))
            .collect();
        received.last().copied()
    });
    t.result(
        "waits for room",
        &client.send_to(b"at last", path("server")),
    );
    t.see("received", receiver.join().expect("the receiver"));
}

pub fn nonblocking(t: &mut Transcript) {
    let (left, right) = UnixDatagram::pair().expect("pair");
    t.result("set", &left.set_nonblocking(true));
    t.result("recv", &left.recv(&mut [0; 8]));
    t.result("recv_from", &left.recv_from(&mut [0; 8]));
    t.result("send", &right.send(b"data"));
    t.result("recv", &left.recv(&mut [0; 8]));
    t.result("unset", &left.set_nonblocking(false));
    t.result("expire", &left.set_read_timeout(Some(SHORT)));
    t.result("recv", &left.recv(&mut [0; 8]));
}

pub fn peer_goes_away(t: &mut Transcript) {
    let (left, right) = UnixDatagram::pair().expect("pair");
    t.result("last words", &right.send(b"bye"));
    drop(right);
    t.result("last words", &left.recv(&mut [0; 8]));
    t.result("send", &left.send(b"x"));
    t.result("send again", &left.send(b"x"));
    t.result("expire", &left.set_read_timeout(Some(SHORT)));
    t.result("recv", &left.recv(&mut [0; 8]));

    let (left, right) = UnixDatagram::pair().expect("pair");
    right.send(b"bye").expect("send");
    drop(right);
    left.set_read_timeout(Some(SHORT)).expect("set");
    t.result("send first", &left.send(b"x"));
    // The kernel throws them away when the send fails.
    t.result("last words are lost", &left.recv(&mut [0; 8]));

    let (left, right) = UnixDatagram::pair().expect("pair");
    left.send(b"unread").expect("send");
    drop(right);
    let error = left.take_error().expect("take");
    t.outcome("error", &error.map_or(Ok(()), Err));
}

pub fn shutdown(t: &mut Transcript) {
    let (left, right) = UnixDatagram::pair().expect("pair");
    t.result("write", &left.shutdown(Shutdown::Write));
    t.result("send", &left.send(b"x"));
    t.result("other way", &right.send(b"yy"));
    t.result("recv", &left.recv(&mut [0; 8]));
    t.result("read", &left.shutdown(Shutdown::Read));
    t.result("recv", &left.recv(&mut [0; 8]));
    t.result("recv_from", &left.recv_from(&mut [0; 8]));
    t.result("to one who does not read", &right.send(b"zz"));
    t.result("set", &left.set_nonblocking(true));
    t.result("non-blocking", &left.recv(&mut [0; 8]));

    let (left, _right) = UnixDatagram::pair().expect("pair");
    let clone = left.try_clone().expect("clone");
    let receiver = thread::spawn(move || clone.recv(&mut [0; 8]));
    thread::sleep(Duration::from_millis(10));
    t.result("shutdown", &left.shutdown(Shutdown::Both));
    t.result("wakes a receiver", &receiver.join().expect("the receiver"));
}

pub fn recv_waits(t: &mut Transcript) {
    let (left, right) = UnixDatagram::pair().expect("pair");
    let receiver = thread::spawn(move || left.recv_from(&mut [0; 8]));
    thread::sleep(Duration::from_millis(10));
    t.result("send", &right.send(b"wake"));
    t.result("received", &receiver.join().expect("the receiver"));
}

pub fn two_receivers(t: &mut Transcript) {
    let (left, right) = UnixDatagram::pair().expect("pair");
    let left = Arc::new(left);
    let receivers = [(); 2].map(|()| {
        let left = Arc::clone(&left);
        thread::spawn(move || left.recv(&mut [0; 8]).expect("receive"))
    });
    thread::sleep(Duration::from_millis(10));
    for _ in 0..2 {
        right.send(b"one each").expect("send");
    }
    for receiver in receivers {
        t.see("received", receiver.join().expect("a receiver"));
    }
}

pub fn clones_share(t: &mut Transcript) {
    let (left, right) = UnixDatagram::pair().expect("pair");
    let clone = left.try_clone().expect("clone");
    clone
        .set_read_timeout(Some(Duration::from_secs(7)))
        .expect("set");
    t.result("timeout by the clone", &left.read_timeout());
    clone.set_nonblocking(true).expect("set");
    t.result("non-blocking by the clone", &left.recv(&mut [0; 8]));
    drop(left);
    t.result("send", &clone.send(b"x"));
    t.result("recv", &right.recv(&mut [0; 8]));
}

pub fn debug(t: &mut Transcript) {
    let (_kept, path) = directory();
    let bound = UnixDatagram::bind(path("bound")).expect("bind");
    let (place, fd) = (path("bound"), bound.as_raw_fd());
    t.see("bound", masked(&bound, &[(&place, "PATH"), (&fd, "FD")]));
    let client = UnixDatagram::unbound().expect("unbound");
    let fd = client.as_raw_fd();
    t.see("unbound", masked(&client, &[(&fd, "FD")]));
    client.connect(path("bound")).expect("connect");
    t.see(
        "connected",
        masked(&client, &[(&place, "PATH"), (&fd, "FD")]),
    );
}
