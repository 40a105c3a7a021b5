//! `os::unix::net::UnixListener` and its `Incoming`.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::lib::os::linux::net::SocketAddrExt;
use super::lib::os::unix::net::{Incoming, SocketAddr, UnixListener, UnixStream};
use super::lib::thread;
use super::support::{directory, masked, wait_until};
use crate::harness::Transcript;

parity! {
    topic: unix_listener,
    items: [
        "UnixListener::bind",
        "UnixListener::bind_addr",
        "UnixListener::accept",
        "UnixListener::try_clone",
        "UnixListener::local_addr",
        "UnixListener::set_nonblocking",
        "UnixListener::take_error",
        "UnixListener::incoming",
        "impl Debug for UnixListener",
        "impl IntoIterator for &UnixListener",
        "impl Debug for Incoming",
        "impl Iterator for Incoming",
    ],
    differs: [],
    bodies: {
        signatures: [],
        binds: ["UnixListener::bind", "UnixListener::local_addr", "UnixListener::take_error"],
        binds_an_abstract_name: ["UnixListener::bind_addr", "UnixListener::local_addr"],
        bind_fails: ["UnixListener::bind", "UnixListener::bind_addr"],
        accepts_in_order: ["UnixListener::accept"],
        accept_waits_for_a_connection: ["UnixListener::accept"],
        accepts_a_named_client: ["UnixListener::accept"],
        accepts_a_connection_that_has_ended: ["UnixListener::accept"],
        incoming_iterates: [
            "UnixListener::incoming", "impl IntoIterator for &UnixListener",
            "impl Iterator for Incoming",
        ],
        nonblocking: ["UnixListener::set_nonblocking"],
        accepted_streams_block: ["UnixListener::set_nonblocking", "UnixListener::accept"],
        clones_accept: ["UnixListener::try_clone"],
        two_acceptors: ["UnixListener::accept"],
        debug: ["impl Debug for UnixListener", "impl Debug for Incoming"],
    },
}

/// Compiles only if every method has std's signature.
pub fn signatures(t: &mut Transcript) {
    use std::io::Result;
    use std::os::unix::net as std_net;
    fn iterates<'a, T: IntoIterator<Item = Result<UnixStream>, IntoIter = Incoming<'a>>>() {}
    let _: fn(PathBuf) -> Result<UnixListener> = UnixListener::bind::<PathBuf>;
    let _: fn(&std_net::SocketAddr) -> Result<UnixListener> = UnixListener::bind_addr;
    let _: fn(&UnixListener) -> Result<(UnixStream, std_net::SocketAddr)> = UnixListener::accept;
    let _: fn(&UnixListener) -> Result<UnixListener> = UnixListener::try_clone;
    let _: fn(&UnixListener) -> Result<std_net::SocketAddr> = UnixListener::local_addr;
    let _: fn(&UnixListener, bool) -> Result<()> = UnixListener::set_nonblocking;
    let _: fn(&UnixListener) -> Result<Option<std::io::Error>> = UnixListener::take_error;
    let _: for<'a> fn(&'a UnixListener) -> Incoming<'a> = UnixListener::incoming;
    iterates::<&UnixListener>();
    t.see("compiles", true);
}

pub fn binds(t: &mut Transcript) {
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    let addr = listener.local_addr().expect("address");
    t.see("path", addr.as_pathname() == Some(&*path("server")));
    t.see("no error", listener.take_error().expect("take").is_none());
    t.see("exists", path("server").exists());
    drop(listener);
    t.see("stays after drop", path("server").exists());
    t.outcome("is in use", &UnixListener::bind(path("server")));
    std::fs::remove_file(path("server")).expect("remove");
    t.outcome("again", &UnixListener::bind(path("server")));
}

pub fn binds_an_abstract_name(t: &mut Transcript) {
    let name = format!("green parity {:?}", directory().0.path());
    let addr = SocketAddr::from_abstract_name(&name).expect("address");
    let listener = UnixListener::bind_addr(&addr).expect("bind");
    let local = listener.local_addr().expect("address");
    t.see("name", local.as_abstract_name() == Some(name.as_bytes()));
    t.see("unnamed", local.is_unnamed());
    t.outcome("in use", &UnixListener::bind_addr(&addr));
    drop(listener);
    t.outcome("free again", &UnixListener::bind_addr(&addr));
}

pub fn bind_fails(t: &mut Transcript) {
    let (_kept, path) = directory();
    let _taken = UnixListener::bind(path("taken")).expect("bind");
    t.outcome("taken", &UnixListener::bind(path("taken")));
    std::fs::write(path("file"), b"").expect("a file");
    t.outcome("a file", &UnixListener::bind(path("file")));
    t.outcome("no such directory", &UnixListener::bind(path("none/none")));
    t.outcome("NUL in the path", &UnixListener::bind("a\0b"));
    t.outcome("too long", &UnixListener::bind("x".repeat(108)));
    let addr = SocketAddr::from_pathname(path("taken")).expect("address");
    t.outcome("taken, by address", &UnixListener::bind_addr(&addr));
}

pub fn accepts_in_order(t: &mut Transcript) {
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    let mut clients: Vec<UnixStream> = (0..4)
        .map(|_| UnixStream::connect(path("server")).expect("connect"))
        .collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let (mut server, from) = listener.accept().expect("accept");
        t.see("from", from);
        server.write_all(&[number as u8]).expect("write");
        let mut byte = [0];
        t.result("read", &client.read(&mut byte));
        t.see("byte", byte);
    }
}

pub fn accept_waits_for_a_connection(t: &mut Transcript) {
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    let acceptor = thread::spawn(move || {
        let (mut server, _) = listener.accept().expect("accept");
        server.write(b"welcome")
    });
    thread::sleep(Duration::from_millis(10));
    let mut client = UnixStream::connect(path("server")).expect("connect");
    let mut text = String::new();
    t.result("read", &client.read_to_string(&mut text));
    t.see("text", text);
    t.result("written", &acceptor.join().expect("the acceptor"));
}

pub fn accepts_a_named_client(t: &mut Transcript) {
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    let client =
        socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a socket");
    let name = socket2::SockAddr::unix(path("client")).expect("address");
    client.bind(&name).expect("bind");
    let server = socket2::SockAddr::unix(path("server")).expect("address");
    client.connect(&server).expect("connect");
    let (stream, from) = listener.accept().expect("accept");
    t.see("from", from.as_pathname() == Some(&*path("client")));
    let peer = stream.peer_addr().expect("peer");
    t.see("peer", peer.as_pathname() == Some(&*path("client")));
}

pub fn accepts_a_connection_that_has_ended(t: &mut Transcript) {
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    let mut client = UnixStream::connect(path("server")).expect("connect");
    client.write_all(b"bye").expect("write");
    drop(client);
    let (mut server, _) = listener.accept().expect("accept");
    let mut text = String::new();
    t.result("read", &server.read_to_string(&mut text));
    t.see("text", text);
    t.result("write", &server.write(b"x"));
}

pub fn incoming_iterates(t: &mut Transcript) {
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    let _clients: Vec<UnixStream> = (0..4)
        .map(|_| UnixStream::connect(path("server")).expect("connect"))
        .collect();
    t.see("size hint", listener.incoming().size_hint());
    for stream in listener.incoming().take(2) {
        t.outcome("incoming", &stream);
    }
    let mut count = 0;
    for stream in &listener {
        t.outcome("by reference", &stream);
        count += 1;
        if count == 2 {
            break;
        }
    }
}

pub fn nonblocking(t: &mut Transcript) {
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    t.result("set", &listener.set_nonblocking(true));
    t.outcome("accept", &listener.accept());
    t.outcome("incoming", &listener.incoming().next().expect("an item"));
    let _client = UnixStream::connect(path("server")).expect("connect");
    t.outcome("accept", &listener.accept());
    t.outcome("accept", &listener.accept());
    t.result("unset", &listener.set_nonblocking(false));
    let target = path("server");
    let client = thread::spawn(move || {
        thread::sleep(Duration::from_millis(10));
        UnixStream::connect(target)
    });
    t.outcome("accept waits", &listener.accept());
    t.outcome("connected", &client.join().expect("the client"));
}

pub fn accepted_streams_block(t: &mut Transcript) {
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    listener.set_nonblocking(true).expect("set");
    let client = UnixStream::connect(path("server")).expect("connect");
    let (mut server, _) = listener.accept().expect("accept");
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
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    let clone = listener.try_clone().expect("clone");
    let _clients = [(); 2].map(|()| UnixStream::connect(path("server")).expect("connect"));
    t.outcome("by the clone", &clone.accept());
    t.outcome("by the first", &listener.accept());
    listener.set_nonblocking(true).expect("set");
    t.outcome("non-blocking for all", &clone.accept());
    drop(listener);
    t.outcome("listens on", &UnixStream::connect(path("server")));
    drop(clone);
    t.outcome("until the last", &UnixStream::connect(path("server")));
}

pub fn two_acceptors(t: &mut Transcript) {
    let (_kept, path) = directory();
    let listener = Arc::new(UnixListener::bind(path("server")).expect("bind"));
    let acceptors = [(); 2].map(|()| {
        let listener = Arc::clone(&listener);
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accept");
            stream.write_all(b"x").expect("write");
        })
    });
    let mut clients = [(); 2].map(|()| UnixStream::connect(path("server")).expect("connect"));
    wait_until("both have ended", || {
        acceptors.iter().all(|one| one.is_finished())
    });
    for client in &mut clients {
        t.result("each is served", &client.read(&mut [0; 4]));
    }
}

pub fn debug(t: &mut Transcript) {
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    let (place, fd) = (path("server"), listener.as_raw_fd());
    let hidden: [(&dyn std::fmt::Debug, &str); 2] = [(&place, "PATH"), (&fd, "FD")];
    t.see("listener", masked(&listener, &hidden));
    t.see("incoming", masked(&listener.incoming(), &hidden));
}
