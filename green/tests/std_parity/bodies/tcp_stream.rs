//! `net::TcpStream`: an open connection.

use std::io::{BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lib::net::{Shutdown, TcpStream};
use super::lib::os::linux::net::TcpStreamExt;
use super::lib::thread;
use super::support::{LONG, SHORT, masked, reset_pair, tcp_pair, wait_until};
use crate::harness::Transcript;

parity! {
    topic: tcp_stream,
    items: [
        "TcpStream::try_clone",
        "TcpStream::set_read_timeout",
        "TcpStream::set_write_timeout",
        "TcpStream::read_timeout",
        "TcpStream::write_timeout",
        "TcpStream::peek",
        "TcpStream::set_nodelay",
        "TcpStream::nodelay",
        "TcpStream::set_ttl",
        "TcpStream::ttl",
        "TcpStream::take_error",
        "TcpStream::set_nonblocking",
        "impl Debug for TcpStream",
        "impl Read for &TcpStream",
        "impl Read for TcpStream",
        "impl Write for &TcpStream",
        "impl Write for TcpStream",
        "impl TcpStreamExt for TcpStream",
        "TcpStreamExt::set_quickack",
        "TcpStreamExt::quickack",
    ],
    differs: [],
    bodies: {
        signatures: [],
        timeouts_are_kept: [
            "TcpStream::set_read_timeout", "TcpStream::set_write_timeout",
            "TcpStream::read_timeout", "TcpStream::write_timeout",
        ],
        read_timeout_expires: ["TcpStream::set_read_timeout", "TcpStream::peek"],
        read_timeout_in_concert_with_data: ["TcpStream::set_read_timeout"],
        write_timeout_expires: ["TcpStream::set_write_timeout"],
        peek_leaves_the_data: ["TcpStream::peek"],
        vectored: ["impl Read for TcpStream", "impl Write for TcpStream"],
        empty_buffers: ["impl Read for TcpStream", "impl Write for TcpStream", "TcpStream::peek"],
        nonblocking: ["TcpStream::set_nonblocking", "TcpStream::peek"],
        nonblocking_is_left_again: ["TcpStream::set_nonblocking"],
        clones_share: [
            "TcpStream::try_clone", "TcpStream::set_nonblocking", "TcpStream::read_timeout",
        ],
        options: [
            "TcpStream::set_nodelay", "TcpStream::nodelay", "TcpStream::set_ttl",
            "TcpStream::ttl", "TcpStream::take_error",
        ],
        quickack: [
            "impl TcpStreamExt for TcpStream", "TcpStreamExt::set_quickack",
            "TcpStreamExt::quickack",
        ],
        debug: ["impl Debug for TcpStream"],
        shared_references_read_and_write: ["impl Read for &TcpStream", "impl Write for &TcpStream"],
        reader_and_writer_at_once: ["impl Read for &TcpStream", "impl Write for &TcpStream"],
        two_readers: ["impl Read for &TcpStream"],
        buffered_lines: ["impl Read for &TcpStream", "impl Write for &TcpStream"],
        read_to_end_and_to_string: ["impl Read for TcpStream"],
        writes_take_all: ["impl Write for TcpStream"],
        copies_much: ["impl Read for TcpStream", "impl Write for TcpStream"],
    },
}

/// Compiles only if every method has std's signature.
pub fn signatures(t: &mut Transcript) {
    use std::io::Result;
    use std::net as std_net;
    let _: fn(String) -> Result<TcpStream> = TcpStream::connect::<String>;
    let _: fn((String, u16)) -> Result<TcpStream> = TcpStream::connect::<(String, u16)>;
    let _: fn(std_net::SocketAddr) -> Result<TcpStream> = TcpStream::connect;
    let _: fn(&std_net::SocketAddr, Duration) -> Result<TcpStream> = TcpStream::connect_timeout;
    let _: fn(&TcpStream) -> Result<std_net::SocketAddr> = TcpStream::peer_addr;
    let _: fn(&TcpStream) -> Result<std_net::SocketAddr> = TcpStream::local_addr;
    let _: fn(&TcpStream, std_net::Shutdown) -> Result<()> = TcpStream::shutdown;
    let _: fn(&TcpStream) -> Result<TcpStream> = TcpStream::try_clone;
    let _: fn(&TcpStream, Option<Duration>) -> Result<()> = TcpStream::set_read_timeout;
    let _: fn(&TcpStream, Option<Duration>) -> Result<()> = TcpStream::set_write_timeout;
    let _: fn(&TcpStream) -> Result<Option<Duration>> = TcpStream::read_timeout;
    let _: fn(&TcpStream) -> Result<Option<Duration>> = TcpStream::write_timeout;
    let _: fn(&TcpStream, &mut [u8]) -> Result<usize> = TcpStream::peek;
    let _: fn(&TcpStream, bool) -> Result<()> = TcpStream::set_nodelay;
    let _: fn(&TcpStream) -> Result<bool> = TcpStream::nodelay;
    let _: fn(&TcpStream, u32) -> Result<()> = TcpStream::set_ttl;
    let _: fn(&TcpStream) -> Result<u32> = TcpStream::ttl;
    let _: fn(&TcpStream) -> Result<Option<std::io::Error>> = TcpStream::take_error;
    let _: fn(&TcpStream, bool) -> Result<()> = TcpStream::set_nonblocking;
    let _: fn(&TcpStream, bool) -> Result<()> = TcpStream::set_quickack;
    let _: fn(&TcpStream) -> Result<bool> = TcpStream::quickack;
    t.see("compiles", true);
}

pub fn timeouts_are_kept(t: &mut Transcript) {
    let (client, server) = tcp_pair();
    t.result("read, at first", &client.read_timeout());
    t.result("write, at first", &client.write_timeout());
    let limits = [
        Duration::from_secs(15),
        Duration::from_millis(1500),
        Duration::from_secs(3600),
    ];
    for limit in limits {
        t.result("set read", &client.set_read_timeout(Some(limit)));
        t.result("read", &client.read_timeout());
        t.result("set write", &client.set_write_timeout(Some(2 * limit)));
        t.result("write", &client.write_timeout());
    }
    t.result("read zero", &client.set_read_timeout(Some(Duration::ZERO)));
    t.result(
        "write zero",
        &client.set_write_timeout(Some(Duration::ZERO)),
    );
    t.result("read stays", &client.read_timeout());
    t.result("write stays", &client.write_timeout());
    t.result("set read none", &client.set_read_timeout(None));
    t.result("set write none", &client.set_write_timeout(None));
    t.result("read none", &client.read_timeout());
    t.result("write none", &client.write_timeout());
    t.result("the other end", &server.read_timeout());
    t.result(
        "longest read",
        &client.set_read_timeout(Some(Duration::MAX)),
    );
    t.result(
        "shortest",
        &client.set_read_timeout(Some(Duration::from_nanos(1))),
    );
    t.see(
        "is some",
        client.read_timeout().expect("a getter").is_some(),
    );
    t.outcome("expires", &(&client).read(&mut [0; 4]));
}

pub fn read_timeout_expires(t: &mut Transcript) {
    let (mut client, mut server) = tcp_pair();
    let mut buffer = [0; 8];
    client.set_read_timeout(Some(SHORT)).expect("set");
    let start = Instant::now();
    t.result("read", &client.read(&mut buffer));
    t.see("waited", start.elapsed() >= SHORT);
    let start = Instant::now();
    t.result("peek", &client.peek(&mut buffer));
    t.see("waited", start.elapsed() >= SHORT);
    t.result(
        "vectored",
        &client.read_vectored(&mut [IoSliceMut::new(&mut buffer)]),
    );
    t.result("read exactly", &client.read_exact(&mut [0; 2]));
    t.result("to the end", &client.read_to_end(&mut Vec::new()));
    t.result("write", &server.write(b"late"));
    t.result("read late data", &client.read(&mut buffer));
}

pub fn read_timeout_in_concert_with_data(t: &mut Transcript) {
    let (mut client, mut server) = tcp_pair();
    client.set_read_timeout(Some(LONG)).expect("set");
    let writer = thread::spawn(move || {
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(10));
            server.write_all(b"abc").expect("write");
        }
        server
    });
    let mut data = [0; 9];
    t.result("read exactly", &client.read_exact(&mut data));
    t.see("data", data);
    drop(writer.join().expect("the writer"));
    t.result("end", &client.read(&mut data));
}

pub fn write_timeout_expires(t: &mut Transcript) {
    let (mut client, mut server) = tcp_pair();
    client.set_write_timeout(Some(SHORT)).expect("set");
    let chunk = vec![7; 64 * 1024];
    let mut written = 0;
    let error = loop {
        match client.write(&chunk) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    t.outcome("write", &Err::<(), _>(error));
    let error = loop {
        match client.write_vectored(&[IoSlice::new(&chunk), IoSlice::new(&chunk)]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    t.outcome("vectored", &Err::<(), _>(error));
    t.result("shutdown", &client.shutdown(Shutdown::Write));
    let mut arrived = Vec::new();
    t.outcome("read all", &server.read_to_end(&mut arrived));
    t.see("nothing lost", arrived.len() == written);
}

pub fn peek_leaves_the_data(t: &mut Transcript) {
    let (mut client, mut server) = tcp_pair();
    server.write_all(b"abcdef").expect("write");
    let mut buffer = [0; 4];
    wait_until("all has arrived", || {
        client.peek(&mut [0; 8]).is_ok_and(|count| count == 6)
    });
    t.result("peek", &client.peek(&mut buffer));
    t.result("peek again", &client.peek(&mut buffer));
    t.see("data", buffer);
    t.result("read", &client.read(&mut buffer));
    t.result("peek the rest", &client.peek(&mut buffer));
    t.result("read the rest", &client.read(&mut buffer));
    drop(server);
    t.result("peek at the end", &client.peek(&mut buffer));
}

pub fn vectored(t: &mut Transcript) {
    let (mut client, mut server) = tcp_pair();
    let parts = [
        IoSlice::new(b"ab"),
        IoSlice::new(b""),
        IoSlice::new(b"cdefg"),
    ];
    t.result("write", &client.write_vectored(&parts));
    let (mut first, mut second, mut third) = ([0; 3], [0; 0], [0; 10]);
    let mut buffers = [
        IoSliceMut::new(&mut first),
        IoSliceMut::new(&mut second),
        IoSliceMut::new(&mut third),
    ];
    t.result("read", &server.read_vectored(&mut buffers));
    t.see("first", first);
    t.see("third", third);
    t.result("write nothing", &client.write_vectored(&[]));
    t.result("write empty", &client.write_vectored(&[IoSlice::new(b"")]));
    // More pieces than the kernel takes in one call.
    let many: Vec<IoSlice<'_>> = (0..2000).map(|_| IoSlice::new(b"x")).collect();
    t.result("write many", &client.write_vectored(&many));
    client.shutdown(Shutdown::Write).expect("shutdown");
    let mut rest = Vec::new();
    t.result("read many", &server.read_to_end(&mut rest));
    let mut late = [0; 3];
    t.result(
        "end",
        &server.read_vectored(&mut [IoSliceMut::new(&mut late)]),
    );
}

pub fn empty_buffers(t: &mut Transcript) {
    let (mut client, mut server) = tcp_pair();
    t.result("write", &client.write(b""));
    client.set_read_timeout(Some(SHORT)).expect("set");
    let start = Instant::now();
    t.result("read without data", &client.read(&mut []));
    t.see("waits", start.elapsed() >= SHORT);
    let start = Instant::now();
    t.result("peek without data", &client.peek(&mut []));
    t.see("waits", start.elapsed() >= SHORT);
    t.result("vectored does not", &client.read_vectored(&mut []));
    server.write_all(b"data").expect("write");
    client.peek(&mut [0]).expect("the data has arrived");
    t.result("read", &client.read(&mut []));
    t.result("peek", &client.peek(&mut []));
    t.result("read all", &client.read(&mut [0; 8]));
    drop(server);
    client.set_read_timeout(None).expect("set");
    t.result("read at the end", &client.read(&mut [0; 8]));
    t.result("read nothing at the end", &client.read(&mut []));
}

pub fn nonblocking(t: &mut Transcript) {
    let (mut client, mut server) = tcp_pair();
    let mut buffer = [0; 8];
    t.result("set", &client.set_nonblocking(true));
    t.result("read", &client.read(&mut buffer));
    t.result("peek", &client.peek(&mut buffer));
    t.result("read into nothing", &client.read(&mut []));
    t.result("exactly", &client.read_exact(&mut buffer));
    client.set_read_timeout(Some(LONG)).expect("set");
    let start = Instant::now();
    t.result("with a timeout too", &client.read(&mut buffer));
    t.see("at once", start.elapsed() < LONG);
    let chunk = vec![1; 64 * 1024];
    let error = loop {
        if let Err(error) = client.write(&chunk) {
            break error;
        }
    };
    t.outcome("write", &Err::<(), _>(error));
    server.write_all(b"data").expect("write");
    wait_until("data arrives", || client.peek(&mut buffer).is_ok());
    t.result("read data", &client.read(&mut buffer));
    t.result(
        "the other end is not",
        &server.set_read_timeout(Some(SHORT)),
    );
    t.outcome("and reads", &server.read(&mut buffer));
}

pub fn nonblocking_is_left_again(t: &mut Transcript) {
    let (mut client, mut server) = tcp_pair();
    client.set_nonblocking(true).expect("set");
    t.result("read", &client.read(&mut [0; 8]));
    t.result("unset", &client.set_nonblocking(false));
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(10));
        server.write_all(b"late").expect("write");
        server
    });
    t.result("read waits", &client.read(&mut [0; 8]));
    drop(writer.join());
}

pub fn clones_share(t: &mut Transcript) {
    let (mut client, mut server) = tcp_pair();
    let mut clone = client.try_clone().expect("clone");
    t.see(
        "same local",
        clone.local_addr().ok() == client.local_addr().ok(),
    );
    t.see(
        "same peer",
        clone.peer_addr().ok() == client.peer_addr().ok(),
    );
    client
        .set_read_timeout(Some(Duration::from_secs(7)))
        .expect("set");
    t.result("timeout of the clone", &clone.read_timeout());
    clone
        .set_write_timeout(Some(Duration::from_secs(9)))
        .expect("set");
    t.result("timeout by the clone", &client.write_timeout());
    clone.set_nonblocking(true).expect("set");
    t.result("non-blocking by the clone", &client.read(&mut [0; 8]));
    client.set_nonblocking(false).expect("set");
    clone.set_read_timeout(Some(SHORT)).expect("set");
    t.result("blocking again", &clone.read(&mut [0; 8]));
    client.set_nodelay(true).expect("set");
    t.result("nodelay of the clone", &clone.nodelay());
    server.write_all(b"abcd").expect("write");
    t.result("first half", &client.read_exact(&mut [0; 2]));
    t.result("second half", &clone.read_exact(&mut [0; 2]));
}

pub fn options(t: &mut Transcript) {
    let (client, _server) = tcp_pair();
    t.result("nodelay", &client.nodelay());
    t.result("set", &client.set_nodelay(true));
    t.result("nodelay", &client.nodelay());
    t.result("unset", &client.set_nodelay(false));
    t.result("nodelay", &client.nodelay());
    t.result("ttl", &client.ttl());
    t.result("set", &client.set_ttl(17));
    t.result("ttl", &client.ttl());
    t.result("zero", &client.set_ttl(0));
    t.result("too large", &client.set_ttl(256));
    t.result("far too large", &client.set_ttl(u32::MAX));
    t.see("no error", client.take_error().expect("take").is_none());
}

pub fn quickack(t: &mut Transcript) {
    let (client, _server) = tcp_pair();
    t.result("set", &client.set_quickack(false));
    t.result("quickack", &client.quickack());
    t.result("set", &client.set_quickack(true));
    t.result("quickack", &client.quickack());
}

pub fn debug(t: &mut Transcript) {
    let (client, _server) = tcp_pair();
    let local = client.local_addr().expect("local");
    let peer = client.peer_addr().expect("peer");
    let fd = client.as_raw_fd();
    let hidden: [(&dyn std::fmt::Debug, &str); 3] =
        [(&local, "LOCAL"), (&peer, "PEER"), (&fd, "FD")];
    t.see("connected", masked(&client, &hidden));
    let reset = reset_pair();
    wait_until("the reset has arrived", || reset.peer_addr().is_err());
    let local = reset.local_addr().expect("local");
    let fd = reset.as_raw_fd();
    t.see("reset", masked(&reset, &[(&local, "LOCAL"), (&fd, "FD")]));
}

pub fn shared_references_read_and_write(t: &mut Transcript) {
    let (client, server) = tcp_pair();
    let (client, server) = (&client, &server);
    t.result("write", &(&*client).write(b"ab"));
    t.result(
        "vectored",
        &(&*client).write_vectored(&[IoSlice::new(b"cd")]),
    );
    t.result("all", &(&*client).write_all(b"ef"));
    t.result("formatted", &write!(&*client, "{}", 12));
    t.result("flush", &(&*client).flush());
    let mut data = [0; 8];
    t.result("exactly", &(&*server).read_exact(&mut data[..6]));
    let mut last = [0; 2];
    t.result(
        "vectored",
        &(&*server).read_vectored(&mut [IoSliceMut::new(&mut last)]),
    );
    t.see("data", (data, last));
    let mut by_ref = server;
    t.result("set", &server.set_nonblocking(true));
    t.result("by reference", &by_ref.read(&mut data));
}

pub fn reader_and_writer_at_once(t: &mut Transcript) {
    const TOTAL: usize = 1 << 20;
    let (client, server) = tcp_pair();
    let echo = thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            match (&server).read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => (&server).write_all(&buffer[..count]).expect("echo"),
                Err(error) => panic!("echo: {error}"),
            }
        }
    });
    let client = Arc::new(client);
    let reading = Arc::clone(&client);
    let reader = thread::spawn(move || {
        let mut data = Vec::new();
        (&*reading).read_to_end(&mut data).map(|_| data)
    });
    let data: Vec<u8> = (0..TOTAL).map(|index| (index % 251) as u8).collect();
    t.result("write", &(&*client).write_all(&data));
    t.result("shutdown", &client.shutdown(Shutdown::Write));
    t.see("echo ended well", echo.join().is_ok());
    let back = reader.join().expect("the reader").expect("read");
    t.see("the same came back", back == data);
}

pub fn two_readers(t: &mut Transcript) {
    let (client, mut server) = tcp_pair();
    let client = Arc::new(client);
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let client = Arc::clone(&client);
            thread::spawn(move || (&*client).read(&mut [0; 1]).expect("read"))
        })
        .collect();
    thread::sleep(Duration::from_millis(10));
    server.write_all(b"ab").expect("write");
    for reader in readers {
        t.see("each has one", reader.join().expect("a reader"));
    }
}

pub fn buffered_lines(t: &mut Transcript) {
    let (client, server) = tcp_pair();
    let writer = thread::spawn(move || {
        let mut out = std::io::BufWriter::new(&client);
        for line in 0..2000 {
            writeln!(out, "line {line}").expect("write");
        }
        out.flush().expect("flush");
    });
    let lines: Vec<String> = BufReader::new(&server)
        .lines()
        .map(|line| line.expect("a line"))
        .collect();
    t.see("lines", lines.len());
    t.see("last", lines.last());
    t.see("writer ended well", writer.join().is_ok());
}

pub fn read_to_end_and_to_string(t: &mut Transcript) {
    let (mut client, mut server) = tcp_pair();
    client.write_all(&[b'a'; 10_000]).expect("write");
    client.shutdown(Shutdown::Write).expect("shutdown");
    let mut text = String::new();
    t.result("to string", &server.read_to_string(&mut text));
    t.result("again", &server.read_to_string(&mut text));

    let (mut client, mut server) = tcp_pair();
    client.write_all(b"\xff\xfe").expect("write");
    client.shutdown(Shutdown::Write).expect("shutdown");
    let mut text = String::new();
    t.result("not UTF-8", &server.read_to_string(&mut text));

    let mut client = reset_pair();
    t.result("reset", &client.read_to_end(&mut Vec::new()));
}

pub fn copies_much(t: &mut Transcript) {
    let (mut client, mut server) = tcp_pair();
    let source = thread::spawn(move || {
        let mut data = std::io::repeat(9).take(3_000_000);
        std::io::copy(&mut data, &mut client)
    });
    t.result("drained", &std::io::copy(&mut server, &mut std::io::sink()));
    t.result("sent", &source.join().expect("the source"));
    let kind = ErrorKind::UnexpectedEof;
    t.see(
        "nothing is left",
        server.read_exact(&mut [0]).map_err(|error| error.kind()) == Err(kind),
    );
}

pub fn writes_take_all(t: &mut Transcript) {
    const LENGTH: usize = 8 << 20;
    let (mut client, mut server) = tcp_pair();
    let sink = thread::spawn(move || std::io::copy(&mut server, &mut std::io::sink()));
    let data = vec![5; LENGTH];
    t.result("more than the buffers hold", &client.write(&data));
    let halves = data.split_at(LENGTH / 2);
    let parts = [IoSlice::new(halves.0), IoSlice::new(halves.1)];
    t.result("in parts", &client.write_vectored(&parts));
    drop(client);
    t.result("drained", &sink.join().expect("the sink"));
}
