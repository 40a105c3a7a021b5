//! `os::unix::net::UnixStream`.

use std::fmt::Debug;
use std::io::{BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::lib::net::Shutdown;
use super::lib::os::linux::net::SocketAddrExt;
use super::lib::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use super::lib::thread;
use super::support::{LONG, SHORT, directory, masked, wait_until};
use crate::harness::Transcript;

parity! {
    topic: unix_stream,
    items: [
        "UnixStream::connect",
        "UnixStream::connect_addr",
        "UnixStream::pair",
        "UnixStream::try_clone",
        "UnixStream::local_addr",
        "UnixStream::peer_addr",
        "UnixStream::set_read_timeout",
        "UnixStream::set_write_timeout",
        "UnixStream::read_timeout",
        "UnixStream::write_timeout",
        "UnixStream::set_nonblocking",
        "UnixStream::take_error",
        "UnixStream::shutdown",
        "impl Debug for UnixStream",
        "impl Read for &UnixStream",
        "impl Read for UnixStream",
        "impl Write for &UnixStream",
        "impl Write for UnixStream",
    ],
    differs: [],
    bodies: {
        signatures: [],
        connects_by_path: [
            "UnixStream::connect", "UnixStream::local_addr", "UnixStream::peer_addr",
        ],
        connects_by_abstract_name: ["UnixStream::connect_addr", "UnixStream::peer_addr"],
        connect_fails: ["UnixStream::connect", "UnixStream::connect_addr"],
        connect_waits_for_room: ["UnixStream::connect"],
        pair_talks: [
            "UnixStream::pair", "impl Read for UnixStream", "impl Write for UnixStream",
            "UnixStream::local_addr", "UnixStream::peer_addr",
        ],
        vectored: ["impl Read for UnixStream", "impl Write for UnixStream"],
        empty_buffers: ["impl Read for UnixStream", "impl Write for UnixStream"],
        timeouts_are_kept: [
            "UnixStream::set_read_timeout", "UnixStream::set_write_timeout",
            "UnixStream::read_timeout", "UnixStream::write_timeout",
        ],
        timeouts_expire: ["UnixStream::set_read_timeout", "UnixStream::set_write_timeout"],
        nonblocking: ["UnixStream::set_nonblocking"],
        shutdown_of_each_direction: ["UnixStream::shutdown"],
        shutdown_wakes_a_reader: ["UnixStream::shutdown"],
        peer_goes_away: ["impl Read for UnixStream", "impl Write for UnixStream"],
        peer_goes_away_with_unread_data: [
            "impl Read for UnixStream", "UnixStream::take_error",
        ],
        peer_going_away_wakes_a_reader: ["impl Read for UnixStream"],
        clones_share: ["UnixStream::try_clone"],
        debug: ["impl Debug for UnixStream"],
        shared_references_read_and_write: [
            "impl Read for &UnixStream", "impl Write for &UnixStream",
        ],
        writes_take_all: ["impl Write for UnixStream"],
        lines_and_much_data: ["impl Read for &UnixStream", "impl Write for &UnixStream"],
    },
}

/// Compiles only if every method has std's signature.
pub fn signatures(t: &mut Transcript) {
    use std::io::Result;
    use std::os::unix::net as std_net;
    let _: fn(PathBuf) -> Result<UnixStream> = UnixStream::connect::<PathBuf>;
    let _: fn(String) -> Result<UnixStream> = UnixStream::connect::<String>;
    let _: fn(&std_net::SocketAddr) -> Result<UnixStream> = UnixStream::connect_addr;
    let _: fn() -> Result<(UnixStream, UnixStream)> = UnixStream::pair;
    let _: fn(&UnixStream) -> Result<UnixStream> = UnixStream::try_clone;
    let _: fn(&UnixStream) -> Result<std_net::SocketAddr> = UnixStream::local_addr;
    let _: fn(&UnixStream) -> Result<std_net::SocketAddr> = UnixStream::peer_addr;
    let _: fn(&UnixStream, Option<Duration>) -> Result<()> = UnixStream::set_read_timeout;
    let _: fn(&UnixStream, Option<Duration>) -> Result<()> = UnixStream::set_write_timeout;
    let _: fn(&UnixStream) -> Result<Option<Duration>> = UnixStream::read_timeout;
    let _: fn(&UnixStream) -> Result<Option<Duration>> = UnixStream::write_timeout;
    let _: fn(&UnixStream, bool) -> Result<()> = UnixStream::set_nonblocking;
    let _: fn(&UnixStream) -> Result<Option<std::io::Error>> = UnixStream::take_error;
    let _: fn(&UnixStream, std::net::Shutdown) -> Result<()> = UnixStream::shutdown;
    t.see("compiles", true);
}

pub fn connects_by_path(t: &mut Transcript) {
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    let mut client = UnixStream::connect(path("server")).expect("connect");
    let (mut server, _) = listener.accept().expect("accept");
    t.see("local", client.local_addr().expect("local").is_unnamed());
    let peer = client.peer_addr().expect("peer");
    t.see("peer", peer.as_pathname() == Some(&*path("server")));
    let local = server.local_addr().expect("local");
    t.see(
        "accepted local",
        local.as_pathname() == Some(&*path("server")),
    );
    t.see(
        "accepted peer",
        server.peer_addr().expect("peer").is_unnamed(),
    );
    t.result("write", &client.write(b"ping"));
    let mut buffer = [0; 8];
    t.result("read", &server.read(&mut buffer));
    t.see("data", &buffer[..4]);
    t.outcome(
        "String path",
        &UnixStream::connect(path("server").display().to_string()),
    );
    let addr = SocketAddr::from_pathname(path("server")).expect("address");
    t.outcome("by address", &UnixStream::connect_addr(&addr));
}

pub fn connects_by_abstract_name(t: &mut Transcript) {
    let name = format!("green parity {:?}", directory().0.path());
    let addr = SocketAddr::from_abstract_name(&name).expect("address");
    let listener = UnixListener::bind_addr(&addr).expect("bind");
    let mut client = UnixStream::connect_addr(&addr).expect("connect");
    let (server, from) = listener.accept().expect("accept");
    t.see("from", from);
    let peer = client.peer_addr().expect("peer");
    t.see("peer", peer.as_abstract_name() == Some(name.as_bytes()));
    t.see("is unnamed", peer.is_unnamed());
    t.see("path", peer.as_pathname());
    drop(server);
    t.result("end", &client.read(&mut [0; 4]));
    drop(listener);
    t.outcome("after the listener", &UnixStream::connect_addr(&addr));
}

pub fn connect_fails(t: &mut Transcript) {
    let (_kept, path) = directory();
    t.outcome("no such path", &UnixStream::connect(path("none")));
    t.outcome("no such directory", &UnixStream::connect(path("none/none")));
    std::fs::write(path("file"), b"").expect("a file");
    t.outcome("a file", &UnixStream::connect(path("file")));
    t.outcome("a directory", &UnixStream::connect(path("")));
    drop(UnixListener::bind(path("stale")).expect("bind"));
    t.outcome("nobody listens", &UnixStream::connect(path("stale")));
    let _datagram = UnixDatagram::bind(path("datagram")).expect("bind");
    t.outcome("another type", &UnixStream::connect(path("datagram")));
    t.outcome("empty", &UnixStream::connect(""));
    t.outcome("NUL in the path", &UnixStream::connect("a\0b"));
    t.outcome("too long", &UnixStream::connect("x".repeat(108)));
    t.outcome("not too long", &UnixStream::connect("x".repeat(107)));
    let unnamed = UnixStream::pair()
        .expect("pair")
        .0
        .local_addr()
        .expect("address");
    t.outcome("unnamed", &UnixStream::connect_addr(&unnamed));
}

pub fn connect_waits_for_room(t: &mut Transcript) {
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    // Leaves room for one connection more than the number given.
    socket2::SockRef::from(&listener).listen(0).expect("listen");
    let first = UnixStream::connect(path("server")).expect("connect");
    let target = path("server");
    let second = thread::spawn(move || UnixStream::connect(target).map(drop));
    thread::sleep(SHORT);
    t.see("waits", second.is_finished());
    t.outcome("accept", &listener.accept());
    t.outcome("the second", &second.join().expect("the client"));
    drop(first);
}

pub fn pair_talks(t: &mut Transcript) {
    let (mut left, mut right) = UnixStream::pair().expect("pair");
    t.see("local", left.local_addr().expect("local"));
    t.see("peer", left.peer_addr().expect("peer"));
    let mut buffer = [0; 8];
    t.result("write", &left.write(b"ping"));
    t.result("flush", &left.flush());
    t.result("read", &right.read(&mut buffer));
    t.see("data", &buffer[..4]);
    t.result("all", &right.write_all(b"pong!"));
    t.result("exactly", &left.read_exact(&mut buffer[..5]));
    t.see("data", &buffer[..5]);
    t.see("no error", left.take_error().expect("take").is_none());
}

pub fn vectored(t: &mut Transcript) {
    let (mut left, mut right) = UnixStream::pair().expect("pair");
    let parts = [
        IoSlice::new(b"ab"),
        IoSlice::new(b""),
        IoSlice::new(b"cdefg"),
    ];
    t.result("write", &left.write_vectored(&parts));
    let (mut first, mut second) = ([0; 3], [0; 10]);
    let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    t.result("read", &right.read_vectored(&mut buffers));
    t.see("first", first);
    t.see("second", second);
    t.result("write nothing", &left.write_vectored(&[]));
    drop(right);
    t.result("to nobody", &left.write_vectored(&parts));
}

pub fn empty_buffers(t: &mut Transcript) {
    let (mut left, mut right) = UnixStream::pair().expect("pair");
    t.result("write", &left.write(b""));
    left.set_read_timeout(Some(SHORT)).expect("set");
    t.result("read without data", &left.read(&mut []));
    t.result("vectored without data", &left.read_vectored(&mut []));
    right.write_all(b"data").expect("write");
    t.result("read", &left.read(&mut []));
    t.result("read all", &left.read(&mut [0; 8]));
    drop(right);
    t.result("read at the end", &left.read(&mut []));
    t.result("write at the end", &left.write(b""));
}

pub fn timeouts_are_kept(t: &mut Transcript) {
    let (left, right) = UnixStream::pair().expect("pair");
    t.result("read, at first", &left.read_timeout());
    t.result("write, at first", &left.write_timeout());
    let limit = Duration::from_millis(2500);
    t.result("set read", &left.set_read_timeout(Some(limit)));
    t.result("set write", &left.set_write_timeout(Some(limit * 2)));
    t.result("read", &left.read_timeout());
    t.result("write", &left.write_timeout());
    t.result("read zero", &left.set_read_timeout(Some(Duration::ZERO)));
    t.result("write zero", &left.set_write_timeout(Some(Duration::ZERO)));
    t.result("read stays", &left.read_timeout());
    t.result("unset", &left.set_read_timeout(None));
    t.result("unset", &left.set_write_timeout(None));
    t.result("read", &left.read_timeout());
    t.result("write", &left.write_timeout());
    t.result("the other end", &right.read_timeout());
}

pub fn timeouts_expire(t: &mut Transcript) {
    let (mut left, mut right) = UnixStream::pair().expect("pair");
    left.set_read_timeout(Some(SHORT)).expect("set");
    left.set_write_timeout(Some(SHORT)).expect("set");
    let start = Instant::now();
    t.result("read", &left.read(&mut [0; 8]));
    t.see("waited", start.elapsed() >= SHORT);
    let chunk = vec![7; 64 * 1024];
    let mut written = 0;
    let error = loop {
        match left.write(&chunk) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    t.outcome("write", &Err::<(), _>(error));
    left.shutdown(Shutdown::Write).expect("shutdown");
    let mut arrived = Vec::new();
    t.outcome("read all", &right.read_to_end(&mut arrived));
    t.see("nothing lost", arrived.len() == written);
}

pub fn nonblocking(t: &mut Transcript) {
    let (mut left, mut right) = UnixStream::pair().expect("pair");
    t.result("set", &left.set_nonblocking(true));
    t.result("read", &left.read(&mut [0; 8]));
    let chunk = vec![1; 64 * 1024];
    let error = loop {
        if let Err(error) = left.write(&chunk) {
            break error;
        }
    };
    t.outcome("write", &Err::<(), _>(error));
    right.write_all(b"data").expect("write");
    t.result("read data", &left.read(&mut [0; 8]));
    t.result("unset", &left.set_nonblocking(false));
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(10));
        right.write_all(b"late").expect("write");
        right
    });
    t.result("read waits", &left.read(&mut [0; 8]));
    drop(writer.join());
}

pub fn shutdown_of_each_direction(t: &mut Transcript) {
    let (mut left, mut right) = UnixStream::pair().expect("pair");
    let mut buffer = [0; 8];
    t.result("shutdown write", &left.shutdown(Shutdown::Write));
    t.result("again", &left.shutdown(Shutdown::Write));
    t.result("write", &left.write(b"x"));
    t.result("peer sees the end", &right.read(&mut buffer));
    t.result("peer writes", &right.write(b"still"));
    t.result("shutdown read", &left.shutdown(Shutdown::Read));
    t.result("read what was there", &left.read(&mut buffer));
    t.result("read", &left.read(&mut buffer));
    t.result("peer writes", &right.write(b"x"));
    t.result("both", &left.shutdown(Shutdown::Both));
    t.result("peer both", &right.shutdown(Shutdown::Both));
    t.result("both again", &left.shutdown(Shutdown::Both));
}

pub fn shutdown_wakes_a_reader(t: &mut Transcript) {
    for how in [Shutdown::Read, Shutdown::Both] {
        let (left, _right) = UnixStream::pair().expect("pair");
        let mut clone = left.try_clone().expect("clone");
        let reader = thread::spawn(move || clone.read(&mut [0; 8]));
        thread::sleep(Duration::from_millis(10));
        t.result("shutdown", &left.shutdown(how));
        t.result("read", &reader.join().expect("the reader"));
    }
}

pub fn peer_goes_away(t: &mut Transcript) {
    let (mut left, mut right) = UnixStream::pair().expect("pair");
    right.write_all(b"last").expect("write");
    drop(right);
    t.result("write", &left.write(b"x"));
    t.result("write again", &left.write(b"x"));
    t.result("read", &left.read(&mut [0; 8]));
    t.result("end", &left.read(&mut [0; 8]));
    t.result("end stays", &left.read(&mut [0; 8]));
    t.outcome("peer", &left.peer_addr());
    t.outcome("shutdown", &left.shutdown(Shutdown::Both));
}

pub fn peer_goes_away_with_unread_data(t: &mut Transcript) {
    let (mut left, right) = UnixStream::pair().expect("pair");
    left.write_all(b"unread").expect("write");
    drop(right);
    t.result("read", &left.read(&mut [0; 8]));
    t.result("write", &left.write(b"x"));

    let (mut left, right) = UnixStream::pair().expect("pair");
    left.write_all(b"unread").expect("write");
    drop(right);
    let error = left.take_error().expect("take");
    t.outcome("error", &error.map_or(Ok(()), Err));
    t.see("taken", left.take_error().expect("take").is_none());
}

pub fn peer_going_away_wakes_a_reader(t: &mut Transcript) {
    for unread in [false, true] {
        let (left, right) = UnixStream::pair().expect("pair");
        if unread {
            (&left).write_all(b"unread").expect("write");
        }
        let mut clone = left.try_clone().expect("clone");
        let reader = thread::spawn(move || clone.read(&mut [0; 8]));
        thread::sleep(Duration::from_millis(10));
        drop(right);
        t.result("read", &reader.join().expect("the reader"));
    }
}

pub fn clones_share(t: &mut Transcript) {
    let (left, mut right) = UnixStream::pair().expect("pair");
    let mut clone = left.try_clone().expect("clone");
    left.set_read_timeout(Some(Duration::from_secs(7)))
        .expect("set");
    t.result("timeout of the clone", &clone.read_timeout());
    left.set_nonblocking(true).expect("set");
    t.result("non-blocking too", &clone.read(&mut [0; 8]));
    drop(left);
    t.result("write", &clone.write(b"x"));
    t.result("read", &right.read(&mut [0; 8]));
    drop(clone);
    t.result("end", &right.read(&mut [0; 8]));
}

pub fn debug(t: &mut Transcript) {
    let (_kept, path) = directory();
    let listener = UnixListener::bind(path("server")).expect("bind");
    let client = UnixStream::connect(path("server")).expect("connect");
    let (server, _) = listener.accept().expect("accept");
    let (place, left, right) = (path("server"), client.as_raw_fd(), server.as_raw_fd());
    t.see(
        "connected",
        masked(&client, &[(&place, "PATH"), (&left, "FD")]),
    );
    t.see(
        "accepted",
        masked(&server, &[(&place, "PATH"), (&right, "FD")]),
    );
    let (left, right) = UnixStream::pair().expect("pair");
    drop(right);
    let fd = left.as_raw_fd();
    let hidden: [(&dyn Debug, &str); 1] = [(&fd, "FD")];
    t.see("of a pair", masked(&left, &hidden));
}

pub fn shared_references_read_and_write(t: &mut Transcript) {
    let (left, right) = UnixStream::pair().expect("pair");
    let (left, right) = (&left, &right);
    t.result("write", &(&*left).write(b"ab"));
    t.result("vectored", &(&*left).write_vectored(&[IoSlice::new(b"cd")]));
    t.result("formatted", &write!(&*left, "{}", 12));
    t.result("flush", &(&*left).flush());
    let mut data = [0; 4];
    t.result("exactly", &(&*right).read_exact(&mut data));
    let mut last = [0; 2];
    let mut buffers = [IoSliceMut::new(&mut last)];
    t.result("vectored", &(&*right).read_vectored(&mut buffers));
    t.see("data", (data, last));
}

pub fn lines_and_much_data(t: &mut Transcript) {
    let (left, right) = UnixStream::pair().expect("pair");
    right.set_read_timeout(Some(LONG)).expect("set");
    let writer = thread::spawn(move || {
        for line in 0..2000 {
            writeln!(&left, "line {line}").expect("write");
        }
        let mut rest = std::io::repeat(b'x').take(1_000_000);
        std::io::copy(&mut rest, &mut &left).expect("copy");
    });
    let mut reader = BufReader::new(&right);
    let lines: Vec<String> = reader
        .by_ref()
        .lines()
        .take(2000)
        .map(|line| line.expect("a line"))
        .collect();
    t.see("last", lines.last());
    t.result("the rest", &reader.read_to_end(&mut Vec::new()));
    wait_until("the writer has ended", || writer.is_finished());
    t.see("writer ended well", writer.join().is_ok());
}

pub fn writes_take_all(t: &mut Transcript) {
    const LENGTH: usize = 4 << 20;
    let (mut left, mut right) = UnixStream::pair().expect("pair");
    let sink = thread::spawn(move || std::io::copy(&mut right, &mut std::io::sink()));
    let data = vec![5; LENGTH];
    t.result("more than the buffers hold", &left.write(&data));
    let halves = data.split_at(LENGTH / 2);
    let parts = [IoSlice::new(halves.0), IoSlice::new(halves.1)];
    t.result("in parts", &left.write_vectored(&parts));
    drop(left);
    t.result("drained", &sink.join().expect("the sink"));
}
