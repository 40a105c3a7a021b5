//! `TcpListener` and its `Incoming`.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::lib::net::{Incoming, Shutdown, SocketAddr, TcpListener, TcpStream};
use super::lib::thread;
use super::support::{LONG, backlog, listener, masked, wait_until};
use crate::harness::Transcript;

parity! {
    topic: tcp_listener,
    items: [
        "TcpListener::bind",
        "TcpListener::local_addr",
        "TcpListener::try_clone",
        "TcpListener::accept",
        "TcpListener::incoming",
        "TcpListener::set_ttl",
        "TcpListener::ttl",
        "TcpListener::set_only_v6",
        "TcpListener::only_v6",
        "TcpListener::take_error",
        "TcpListener::set_nonblocking",
        "impl Debug for TcpListener",
        "impl Debug for Incoming",
        "impl Iterator for Incoming",
        "impl FusedIterator for Incoming",
    ],
    differs: [],
    bodies: {
        signatures: ["impl FusedIterator for Incoming"],
        binds: ["TcpListener::bind", "TcpListener::local_addr"],
        bind_fails: ["TcpListener::bind"],
        bind_tries_each_address: ["TcpListener::bind"],
        binds_again_after_use: ["TcpListener::bind"],
        socket_as_std_makes_it: ["TcpListener::bind"],
        accepts_in_order: ["TcpListener::accept"],
        accept_waits_for_a_connection: ["TcpListener::accept"],
        accepts_a_connection_that_was_reset: ["TcpListener::accept"],
        accepts_a_connection_that_has_ended: ["TcpListener::accept"],
        incoming_iterates: ["TcpListener::incoming", "impl Iterator for Incoming"],
        nonblocking: ["TcpListener::set_nonblocking", "TcpListener::incoming"],
        accepted_streams_block: ["TcpListener::accept", "TcpListener::set_nonblocking"],
        clones_accept: ["TcpListener::try_clone", "TcpListener::set_nonblocking"],
        two_acceptors: ["TcpListener::accept"],
        options: ["TcpListener::set_ttl", "TcpListener::ttl", "TcpListener::take_error"],
        only_v6: ["TcpListener::set_only_v6", "TcpListener::only_v6"],
        debug: ["impl Debug for TcpListener", "impl Debug for Incoming"],
        refuses_after_drop: ["TcpListener::bind"],
    },
}

/// Compiles only if every method has std's signature.
#[expect(deprecated, reason = "set_only_v6 and only_v6 are stable all the same")]
pub fn signatures(t: &mut Transcript) {
    use std::io::Result;
    use std::net as std_net;
    fn fused<T: std::iter::FusedIterator<Item = Result<TcpStream>>>(_: fn(&TcpListener) -> T) {}
    let _: fn(String) -> Result<TcpListener> = TcpListener::bind::<String>;
    let _: fn(std_net::SocketAddr) -> Result<TcpListener> = TcpListener::bind;
    let _: fn(&TcpListener) -> Result<std_net::SocketAddr> = TcpListener::local_addr;
    let _: fn(&TcpListener) -> Result<TcpListener> = TcpListener::try_clone;
    let _: fn(&TcpListener) -> Result<(TcpStream, std_net::SocketAddr)> = TcpListener::accept;
    let _: for<'a> fn(&'a TcpListener) -> Incoming<'a> = TcpListener::incoming;
    let _: fn(&TcpListener, u32) -> Result<()> = TcpListener::set_ttl;
    let _: fn(&TcpListener) -> Result<u32> = TcpListener::ttl;
    let _: fn(&TcpListener, bool) -> Result<()> = TcpListener::set_only_v6;
    let _: fn(&TcpListener) -> Result<bool> = TcpListener::only_v6;
    let _: fn(&TcpListener) -> Result<Option<std::io::Error>> = TcpListener::take_error;
    let _: fn(&TcpListener, bool) -> Result<()> = TcpListener::set_nonblocking;
    fused::<Incoming<'_>>(|_| unreachable!("only its type matters"));
    t.see("compiles", true);
}

pub fn binds(t: &mut Transcript) {
    let (listener, addr) = listener();
    t.see("a port was chosen", addr.port() != 0);
    t.see("ip", addr.ip());
    t.see("stays", listener.local_addr().ok() == Some(addr));
    let other = TcpListener::bind(("127.0.0.2", addr.port()));
    t.outcome("another address of the same port", &other);
    t.outcome("by name", &TcpListener::bind(("localhost", 0)));
    t.outcome("IPv6", &TcpListener::bind("[::1]:0"));
}

pub fn bind_fails(t: &mut Transcript) {
    let (_kept, addr) = listener();
    t.outcome("in use", &TcpListener::bind(addr));
    t.outcome("no addresses", &TcpListener::bind(&[][..]));
    t.outcome("no port", &TcpListener::bind("127.0.0.1"));
    t.outcome("bad port", &TcpListener::bind("127.0.0.1:x"));
}

pub fn bind_tries_each_address(t: &mut Transcript) {
    let (_kept, taken) = listener();
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let bound = TcpListener::bind(&[taken, free][..]);
    t.outcome("the second is free", &bound);
    let addr = bound.expect("bound").local_addr().expect("address");
    t.see("is not the first", addr != taken);
    t.outcome(
        "none is free",
        &TcpListener::bind(&[taken, addr, taken][..]),
    );
}

pub fn binds_again_after_use(t: &mut Transcript) {
    let (first, addr) = listener();
    let mut client = TcpStream::connect(addr).expect("connect");
    let (server, _) = first.accept().expect("accept");
    // Closed first here, so that this end of the connection lingers on.
    drop(server);
    t.result("end", &client.read(&mut [0; 1]));
    drop(client);
    drop(first);
    t.outcome("bind again", &TcpListener::bind(addr));
}

pub fn socket_as_std_makes_it(t: &mut Transcript) {
    let (listener, _) = listener();
    t.see("backlog", backlog(&listener));
    let socket = SockRef::from(&listener);
    t.result("reuse address", &socket.reuse_address());
    t.result("reuse port", &socket.reuse_port());
    t.result("listens", &socket.is_listener());
}

pub fn accepts_in_order(t: &mut Transcript) {
    let (listener, addr) = listener();
    let clients: Vec<TcpStream> = (0..5)
        .map(|_| TcpStream::connect(addr).expect("connect"))
        .collect();
    for client in &clients {
        let (server, peer) = listener.accept().expect("accept");
        t.see("in order", client.local_addr().ok() == Some(peer));
        t.see("peer", server.peer_addr().ok() == Some(peer));
        t.see("local", server.local_addr().ok() == Some(addr));
    }
}

pub fn accept_waits_for_a_connection(t: &mut Transcript) {
    let (listener, addr) = listener();
    let acceptor = thread::spawn(move || {
        let (mut server, _) = listener.accept().expect("accept");
        server.write(b"welcome")
    });
    thread::sleep(Duration::from_millis(10));
    let mut client = TcpStream::connect(addr).expect("connect");
    let mut text = String::new();
    t.result("read", &client.read_to_string(&mut text));
    t.see("text", text);
    t.result("written", &acceptor.join().expect("the acceptor"));
}

pub fn accepts_a_connection_that_was_reset(t: &mut Transcript) {
    let (listener, addr) = listener();
    let client = TcpStream::connect(addr).expect("connect");
    SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .expect("linger");
    drop(client);
    let accepted = listener.accept();
    t.outcome("accept", &accepted);
    let (mut server, _) = accepted.expect("accepted");
    t.result("read", &server.read(&mut [0; 4]));
}

pub fn accepts_a_connection_that_has_ended(t: &mut Transcript) {
    let (listener, addr) = listener();
    let mut client = TcpStream::connect(addr).expect("connect");
    client.write_all(b"bye").expect("write");
    drop(client);
    let (mut server, _) = listener.accept().expect("accept");
    let mut text = String::new();
    t.result("read", &server.read_to_string(&mut text));
    t.see("text", text);
}

pub fn incoming_iterates(t: &mut Transcript) {
    let (listener, addr) = listener();
    let mut clients: Vec<TcpStream> = (0..3)
        .map(|_| TcpStream::connect(addr).expect("connect"))
        .collect();
    t.see("size hint", listener.incoming().size_hint());
    for stream in listener.incoming().take(2) {
        t.outcome("stream", &stream);
        stream.expect("a stream").write_all(b"hi").expect("write");
    }
    t.see("third", listener.incoming().next().is_some());
    let mut text = String::new();
    t.result("greeting", &clients[1].read_to_string(&mut text));
}

pub fn nonblocking(t: &mut Transcript) {
    let (listener, addr) = listener();
    t.result("set", &listener.set_nonblocking(true));
    t.outcome("accept", &listener.accept());
    t.outcome("incoming", &listener.incoming().next().expect("an item"));
    let _client = TcpStream::connect(addr).expect("connect");
    let mut accepted = None;
    wait_until("the connection arrives", || {
        accepted = listener.accept().ok();
        accepted.is_some()
    });
    t.outcome("none left", &listener.accept());
    t.result("unset", &listener.set_nonblocking(false));
    let client = thread::spawn(move || {
        thread::sleep(Duration::from_millis(10));
        TcpStream::connect(addr)
    });
    t.outcome("accept waits", &listener.accept());
    t.outcome("connected", &client.join().expect("the client"));
}

pub fn accepted_streams_block(t: &mut Transcript) {
    let (listener, addr) = listener();
    let client = TcpStream::connect(addr).expect("connect");
    listener.set_nonblocking(true).expect("set");
    let mut accepted = None;
    wait_until("the connection arrives", || {
        accepted = listener.accept().ok();
        accepted.is_some()
    });
    let (mut server, _) = accepted.expect("accepted");
    t.result("no timeout", &server.read_timeout());
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(10));
        (&client).write_all(b"late").expect("write");
        client
    });
    t.result("read waits", &server.read(&mut [0; 8]));
    drop(writer.join());
}

pub fn clones_accept(t: &mut Transcript) {
    let (listener, addr) = listener();
    let clone = listener.try_clone().expect("clone");
    t.see("same address", clone.local_addr().ok() == Some(addr));
    let clients = [(); 2].map(|()| TcpStream::connect(addr).expect("connect"));
    t.outcome("by the clone", &clone.accept());
    t.outcome("by the first", &listener.accept());
    listener.set_nonblocking(true).expect("set");
    t.outcome("non-blocking for all", &clone.accept());
    drop(listener);
    t.outcome("listens on", &TcpStream::connect(addr));
    drop(clone);
    t.outcome("until the last", &TcpStream::connect_timeout(&addr, LONG));
    drop(clients);
}

pub fn two_acceptors(t: &mut Transcript) {
    let (listener, addr) = listener();
    let listener = Arc::new(listener);
    let acceptors = [(); 2].map(|()| {
        let listener = Arc::clone(&listener);
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accept");
            stream.write_all(b"x").expect("write");
            stream.shutdown(Shutdown::Both).expect("shutdown");
        })
    });
    let mut clients = [(); 2].map(|()| TcpStream::connect(addr).expect("connect"));
    for acceptor in acceptors {
        t.see("acceptor ended well", acceptor.join().is_ok());
    }
    for client in &mut clients {
        t.result("each is served", &client.read(&mut [0; 4]));
    }
}

pub fn options(t: &mut Transcript) {
    let (listener, addr) = listener();
    t.result("ttl", &listener.ttl());
    t.result("set", &listener.set_ttl(33));
    t.result("ttl", &listener.ttl());
    t.result("zero", &listener.set_ttl(0));
    t.result("too large", &listener.set_ttl(256));
    t.see("no error", listener.take_error().expect("take").is_none());
    let _client = TcpStream::connect(addr).expect("connect");
    let (server, _) = listener.accept().expect("accept");
    t.result("inherited", &server.ttl());
}

#[expect(deprecated, reason = "set_only_v6 and only_v6 are stable all the same")]
pub fn only_v6(t: &mut Transcript) {
    let six = TcpListener::bind("[::1]:0").expect("bind");
    t.result("of IPv6", &six.only_v6());
    t.result("set while bound", &six.set_only_v6(true));
    let (four, _) = listener();
    t.result("of IPv4", &four.only_v6());
    t.result("set for IPv4", &four.set_only_v6(true));
}

pub fn debug(t: &mut Transcript) {
    let (listener, addr) = listener();
    let fd = listener.as_raw_fd();
    let hidden: [(&dyn Debug, &str); 2] = [(&addr, "ADDR"), (&fd, "FD")];
    t.see("listener", masked(&listener, &hidden));
    t.see("incoming", masked(&listener.incoming(), &hidden));
}

pub fn refuses_after_drop(t: &mut Transcript) {
    let (listener, addr) = listener();
    let mut waiting = TcpStream::connect(addr).expect("connect");
    waiting.set_read_timeout(Some(LONG)).expect("set");
    drop(listener);
    t.result("never accepted", &waiting.read(&mut [0; 4]));
    // A neighbouring test may be given the port at once, but not that of each listener.
    let refused = (0..10).map(|_| {
        let (_, addr) = self::listener();
        TcpStream::connect(addr)
    });
    let outcome = refused.reduce(|one, other| if one.is_err() { one } else { other });
    t.outcome("connect", &outcome.expect("ten attempts"));
}
