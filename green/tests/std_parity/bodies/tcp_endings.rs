//! How a `TcpStream` ends: shutdown, the peer's end of stream, a reset.

use std::io::{IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use super::lib::net::Shutdown;
use super::lib::thread;
use super::support::{LONG, reset_pair, tcp_pair, wait_until};
use crate::harness::Transcript;

parity! {
    topic: tcp_endings,
    items: [
        "reading on after a reset",
        "Shutdown",
        "TcpStream::peer_addr",
        "TcpStream::shutdown",
        "TcpStream::take_error",
        "TcpStream::try_clone",
        "impl Read for TcpStream",
        "impl Write for TcpStream",
    ],
    differs: [
        "reading on after a reset" =>
            "std reads a clean end of stream once the reset has been reported; \
             a green stream reports the reset for ever",
    ],
    bodies: {
        shutdown_of_each_direction: ["TcpStream::shutdown", "Shutdown"],
        shutdown_twice: ["TcpStream::shutdown"],
        shutdown_wakes_a_reader: ["TcpStream::shutdown", "TcpStream::try_clone"],
        end_of_stream_stays: ["impl Read for TcpStream", "TcpStream::peer_addr"],
        data_before_the_end: ["impl Read for TcpStream"],
        reset_by_the_peer_read: ["impl Read for TcpStream", "TcpStream::peer_addr"],
        reset_by_the_peer_write: ["impl Write for TcpStream"],
        reset_in_the_midst_of_a_write: ["impl Write for TcpStream", "TcpStream::take_error"],
        reset_wakes_a_reader: ["impl Read for TcpStream"],
        take_error_after_reset: ["TcpStream::take_error"],
        clones_keep_the_connection: ["TcpStream::try_clone"],
    },
}

pub fn shutdown_of_each_direction(t: &mut Transcript) {
    let (mut client, mut server) = tcp_pair();
    let mut buffer = [0; 8];
    t.result("shutdown write", &client.shutdown(Shutdown::Write));
    t.result("write", &client.write(b"x"));
    t.result(
        "write vectored",
        &client.write_vectored(&[IoSlice::new(b"x")]),
    );
    t.result("write nothing", &client.write(b""));
    t.result("peer sees the end", &server.read(&mut buffer));
    t.result("peer writes", &server.write(b"still"));
    t.result("read", &client.read(&mut buffer));
    t.result("shutdown read", &client.shutdown(Shutdown::Read));
    t.result("read after", &client.read(&mut buffer));
    t.result("peek after", &client.peek(&mut buffer));

    let (mut client, mut server) = tcp_pair();
    t.result("shutdown read", &client.shutdown(Shutdown::Read));
    t.result("read", &client.read(&mut buffer));
    t.result("write", &client.write(b"out"));
    t.result("peer reads", &server.read(&mut buffer));

    let (mut client, mut server) = tcp_pair();
    t.result("shutdown both", &client.shutdown(Shutdown::Both));
    t.result("read", &client.read(&mut buffer));
    t.result("write", &client.write(b"x"));
    t.result("peer sees the end", &server.read(&mut buffer));
}

pub fn shutdown_twice(t: &mut Transcript) {
    let (client, server) = tcp_pair();
    t.result("write", &client.shutdown(Shutdown::Write));
    t.result("write again", &client.shutdown(Shutdown::Write));
    t.result("both", &client.shutdown(Shutdown::Both));
    t.result("peer", &server.shutdown(Shutdown::Both));
    t.result("peer again", &server.shutdown(Shutdown::Both));
    wait_until("the connection has ended", || {
        client.shutdown(Shutdown::Both).is_err()
    });
    t.result("after the end", &client.shutdown(Shutdown::Both));
    t.outcome("peer of", &client.peer_addr());
}

pub fn shutdown_wakes_a_reader(t: &mut Transcript) {
    for how in [Shutdown::Read, Shutdown::Both] {
        let (client, _server) = tcp_pair();
        let mut clone = client.try_clone().expect("clone");
        let reader = thread::spawn(move || clone.read(&mut [0; 8]));
        thread::sleep(Duration::from_millis(10));
        t.result("shutdown", &client.shutdown(how));
        t.result("read", &reader.join().expect("the reader"));
    }
}

pub fn end_of_stream_stays(t: &mut Transcript) {
    let (mut client, server) = tcp_pair();
    drop(server);
    for _ in 0..3 {
        t.result("read", &client.read(&mut [0; 8]));
    }
    t.outcome("peer", &client.peer_addr());
    t.outcome("local", &client.local_addr());
    t.result("to the end", &client.read_to_end(&mut Vec::new()));
    t.result("exactly", &client.read_exact(&mut [0]));
}

pub fn data_before_the_end(t: &mut Transcript) {
    let (mut client, mut server) = tcp_pair();
    server.write_all(b"last words").expect("write");
    drop(server);
    let mut buffer = [0; 4];
    for _ in 0..5 {
        t.result("read", &client.read(&mut buffer));
    }
}

pub fn reset_by_the_peer_read(t: &mut Transcript) {
    let mut client = reset_pair();
    client.set_read_timeout(Some(LONG)).expect("set");
    t.result("read", &client.read(&mut [0; 8]));
    t.outcome("peer", &client.peer_addr());
    t.outcome("local", &client.local_addr());
    t.outcome("shutdown", &client.shutdown(Shutdown::Both));
}

pub fn reset_by_the_peer_write(t: &mut Transcript) {
    let mut client = reset_pair();
    t.result("write", &client.write(b"x"));
    t.result("write again", &client.write(b"x"));
}

/// The write tells how much went; what it then was is told once, to whoever asks first.
pub fn reset_in_the_midst_of_a_write(t: &mut Transcript) {
    let half_taken = || {
        let (mut client, server) = tcp_pair();
        let writer = thread::spawn(move || {
            let much = vec![0; 50_000_000];
            let taken = match client.write_vectored(&[IoSlice::new(&much)]) {
                Ok(taken) => 0 < taken && taken < much.len(),
                Err(_) => false,
            };
            (client, taken)
        });
        // It has begun, and cannot end before we read. With data unread, the kernel sends a reset.
        server.peek(&mut [0]).expect("the data has arrived");
        drop(server);
        writer.join().expect("the writer")
    };
    let (mut client, taken) = half_taken();
    t.see("a part was taken", taken);
    t.result("write", &client.write(b"x"));
    t.result("write again", &client.write(b"x"));

    let (mut client, taken) = half_taken();
    t.see("a part was taken", taken);
    let vectored = client.write_vectored(&[IoSlice::new(b"x"), IoSlice::new(b"y")]);
    t.result("write vectored", &vectored);
    t.result("write again", &client.write(b"x"));

    let (mut client, taken) = half_taken();
    t.see("a part was taken", taken);
    t.result("read", &client.read(&mut [0; 8]));
    t.result("write after the read", &client.write(b"x"));

    let (mut client, taken) = half_taken();
    t.see("a part was taken", taken);
    t.result(
        "take",
        &client
            .take_error()
            .map(|error| error.map(|error| error.kind())),
    );
    t.result("write after the take", &client.write(b"x"));
}

pub fn reset_wakes_a_reader(t: &mut Transcript) {
    let (client, server) = tcp_pair();
    (&client).write_all(b"unread").expect("write");
    server.peek(&mut [0]).expect("the data has arrived");
    let client = Arc::new(client);
    let shared = Arc::clone(&client);
    let reader = thread::spawn(move || (&*shared).read(&mut [0; 8]));
    thread::sleep(Duration::from_millis(10));
    drop(server);
    t.result("read", &reader.join().expect("the reader"));
}

pub fn take_error_after_reset(t: &mut Transcript) {
    let client = reset_pair();
    let mut error = None;
    wait_until("the reset has arrived", || {
        error = client.take_error().expect("take");
        error.is_some()
    });
    t.outcome("error", &Err::<(), _>(error.expect("an error")));
    t.see("taken", client.take_error().expect("take").is_none());
}

pub fn clones_keep_the_connection(t: &mut Transcript) {
    let (client, mut server) = tcp_pair();
    let mut clone = client.try_clone().expect("clone");
    drop(client);
    t.result("write", &clone.write(b"x"));
    t.result("read", &server.read(&mut [0; 8]));
    clone
        .try_clone()
        .expect("clone")
        .shutdown(Shutdown::Write)
        .expect("shutdown");
    t.result("shut for all", &clone.write(b"x"));
    t.result("end", &server.read(&mut [0; 8]));
}
