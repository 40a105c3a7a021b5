//! `net::TcpStream`: how connections are made.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::lib::net::{SocketAddr, TcpStream};
use super::support::{LONG, SHORT, listener, refusing_port, silent_port};
use crate::harness::Transcript;

parity! {
    topic: tcp_connect,
    items: [
        "TcpStream::connect",
        "TcpStream::connect_timeout",
        "TcpStream::peer_addr",
        "TcpStream::local_addr",
        "ToSocketAddrs",
    ],
    differs: [],
    bodies: {
        connects_and_talks: [
            "TcpStream::connect", "TcpStream::peer_addr", "TcpStream::local_addr",
        ],
        talks_over_ipv6: ["TcpStream::connect"],
        connect_is_refused: ["TcpStream::connect", "TcpStream::connect_timeout"],
        connect_tries_each_address: ["TcpStream::connect", "ToSocketAddrs"],
        connect_takes_names: ["TcpStream::connect", "ToSocketAddrs"],
        connect_refuses_bad_names: ["TcpStream::connect", "ToSocketAddrs"],
        connect_timeout_expires: ["TcpStream::connect_timeout"],
        connect_timeout_limits: ["TcpStream::connect_timeout"],
    },
}

pub fn connects_and_talks(t: &mut Transcript) {
    let (listener, addr) = listener();
    let mut client = TcpStream::connect(addr).expect("connect");
    let (mut server, peer) = listener.accept().expect("accept");
    t.see("peer", client.peer_addr().expect("peer") == addr);
    t.see("accepted peer", client.local_addr().expect("local") == peer);
    t.see(
        "accepted peer_addr",
        server.peer_addr().expect("peer") == peer,
    );
    t.see(
        "accepted local",
        server.local_addr().expect("local") == addr,
    );
    let mut buffer = [0; 16];
    t.result("write", &client.write(b"ping"));
    t.result("flush", &client.flush());
    t.result("read", &server.read(&mut buffer));
    t.see("data", &buffer[..4]);
    t.result("write back", &server.write_all(b"pong!"));
    t.result("read exactly", &client.read_exact(&mut buffer[..5]));
    t.see("data back", &buffer[..5]);
}

pub fn talks_over_ipv6(t: &mut Transcript) {
    let listener = super::lib::net::TcpListener::bind("[::1]:0").expect("bind");
    let addr = listener.local_addr().expect("address");
    t.see("is IPv6", addr.is_ipv6());
    let mut client = TcpStream::connect(("::1", addr.port())).expect("connect");
    let (mut server, peer) = listener.accept().expect("accept");
    t.see("peer is IPv6", peer.ip().is_loopback() && peer.is_ipv6());
    t.result("write", &server.write(b"six"));
    let mut buffer = [0; 8];
    t.result("read", &client.read(&mut buffer));
}

pub fn connect_is_refused(t: &mut Transcript) {
    let (_kept, addr) = refusing_port();
    t.outcome("connect", &TcpStream::connect(addr));
    t.outcome("with a limit", &TcpStream::connect_timeout(&addr, LONG));
    t.outcome(
        "with no limit to speak of",
        &TcpStream::connect_timeout(&addr, Duration::MAX),
    );
    t.outcome("to port 0", &TcpStream::connect("127.0.0.1:0"));
}

pub fn connect_tries_each_address(t: &mut Transcript) {
    let (listener, good) = listener();
    let (_kept, refuses) = refusing_port();
    // No connection can be made to a broadcast address.
    let unreachable = SocketAddr::from(([127, 255, 255, 255], good.port()));
    t.outcome("none", &TcpStream::connect(&[][..]));
    t.outcome(
        "good last",
        &TcpStream::connect(&[refuses, unreachable, good][..]),
    );
    t.outcome("accepted", &listener.accept());
    t.outcome("good first", &TcpStream::connect(&[good, refuses][..]));
    t.outcome("accepted", &listener.accept());
    t.outcome(
        "the last error",
        &TcpStream::connect(&[refuses, unreachable][..]),
    );
    t.outcome(
        "the last error",
        &TcpStream::connect(&[unreachable, refuses][..]),
    );
}

pub fn connect_takes_names(t: &mut Transcript) {
    let (_listener, addr) = listener();
    let port = addr.port();
    let name = format!("localhost:{port}");
    t.outcome(
        "host:port",
        &TcpStream::connect(format!("localhost:{port}")),
    );
    t.outcome("&String", &TcpStream::connect(&name));
    t.outcome("(&str, port)", &TcpStream::connect(("localhost", port)));
    t.outcome(
        "(String, port)",
        &TcpStream::connect((String::from("localhost"), port)),
    );
    t.outcome("address as text", &TcpStream::connect(("127.0.0.1", port)));
    t.outcome("(IpAddr, port)", &TcpStream::connect((addr.ip(), port)));
}

pub fn connect_refuses_bad_names(t: &mut Transcript) {
    t.outcome("no port", &TcpStream::connect("127.0.0.1"));
    t.outcome("port not a number", &TcpStream::connect("127.0.0.1:http"));
    t.outcome("port too large", &TcpStream::connect("127.0.0.1:65536"));
    t.outcome("NUL in the name", &TcpStream::connect("local\0host:1"));
    t.outcome("NUL in the name", &TcpStream::connect(("local\0host", 1)));
}

pub fn connect_timeout_expires(t: &mut Transcript) {
    let (_kept, addr) = silent_port();
    let start = Instant::now();
    t.outcome("connect", &TcpStream::connect_timeout(&addr, SHORT));
    t.see("waited", start.elapsed() >= SHORT);
}

pub fn connect_timeout_limits(t: &mut Transcript) {
    // std has begun to connect before it refuses the limit, so this listener is
    // not used again.
    let (_kept, addr) = listener();
    t.outcome("zero", &TcpStream::connect_timeout(&addr, Duration::ZERO));
    let (listener, addr) = listener();
    let connected = TcpStream::connect_timeout(&addr, Duration::MAX);
    t.outcome("longest", &connected);
    let mut client = connected.expect("connected");
    let (mut server, _) = listener.accept().expect("accept");
    t.result("read timeout", &client.read_timeout());
    t.result("write", &server.write(b"x"));
    t.result("read", &client.read(&mut [0; 4]));
}
