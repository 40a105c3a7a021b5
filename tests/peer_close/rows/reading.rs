//! What ends a read: P1 to P9, P14.

use std::time::Duration;

use super::{Row, read_twice, row, write_twice};

pub static ROWS: &[Row] = &[
    row(
        "P1",
        "close_notify, then FIN; the peer reads on",
        |peer| {
            peer.send(b"hello");
            peer.notify();
            peer.fin();
            peer.read_to_end();
        },
        |ours| {
            ours.read();
            read_twice(ours);
            write_twice(ours);
            ours.close();
        },
        &[
            "read 5",
            "read end",
            "read end",
            "write 4",
            "write 4",
            "close at once",
            "peer got 8 close_notify",
        ],
    ),
    row(
        "P2",
        "close_notify, then the socket closed",
        |peer| {
            peer.notify();
            peer.close();
            peer.ready();
        },
        |ours| {
            ours.await_ready();
            read_twice(ours);
            ours.write();
            ours.await_reset();
            ours.write();
            ours.write();
            ours.read();
        },
        &[
            "read end",
            "read end",
            "write 4",
            "write BrokenPipe",
            "write BrokenPipe",
            "read end",
        ],
    ),
    row(
        "P3",
        "FIN without close_notify; the peer reads on",
        |peer| {
            peer.send(b"hello");
            peer.fin();
            peer.read_to_end();
        },
        |ours| {
            ours.read();
            read_twice(ours);
            write_twice(ours);
            ours.read();
            ours.close();
        },
        &[
            "read 5",
            "read UnexpectedEof",
            "read UnexpectedEof",
            "write 4",
            "write 4",
            "read UnexpectedEof",
            "close at once",
            "peer got 8 close_notify",
        ],
    ),
    row(
        "P3s",
        "the same, ragged ends suppressed",
        |peer| {
            peer.send(b"hello");
            peer.fin();
            peer.read_to_end();
        },
        |ours| {
            ours.tls().set_suppress_ragged_eofs(true);
            ours.read();
            read_twice(ours);
            ours.note(format!("cleanly {}", ours.tls().peer_closed_cleanly()));
            ours.write();
            ours.close();
        },
        &[
            "read 5",
            "read end",
            "read end",
            "cleanly false",
            "write 4",
            "close at once",
            "peer got 4 close_notify",
        ],
    ),
    row(
        "P4",
        "the peer's socket closed, no close_notify",
        |peer| {
            peer.close();
            peer.ready();
        },
        |ours| {
            ours.await_ready();
            read_twice(ours);
            ours.write();
            ours.await_reset();
            ours.write();
            ours.write();
            ours.read();
        },
        &[
            "read UnexpectedEof",
            "read UnexpectedEof",
            "write 4",
            "write BrokenPipe",
            "write BrokenPipe",
            "read UnexpectedEof",
        ],
    ),
    row(
        "P5",
        "FIN in the middle of a record",
        |peer| {
            peer.send(b"hello");
            let record = peer.encrypted(&[1; 1000]);
            peer.raw(&record[..500]);
            peer.fin();
        },
        |ours| {
            ours.read();
            read_twice(ours);
        },
        &["read 5", "read UnexpectedEof", "read UnexpectedEof"],
    ),
    row(
        "P6",
        "RST while we wait in read",
        |peer| {
            peer.until_reading();
            peer.reset();
        },
        |ours| {
            read_twice(ours);
            write_twice(ours);
            ours.read();
        },
        &[
            "read ConnectionReset",
            "read ConnectionReset",
            "write BrokenPipe|ConnectionReset",
            "write BrokenPipe|ConnectionReset",
            "read ConnectionReset",
        ],
    ),
    row(
        "P7",
        "data, then RST, both before we read",
        |peer| {
            peer.send(b"hello");
            // Acknowledged before the reset, which would take it along.
            std::thread::sleep(Duration::from_millis(60));
            peer.reset();
            peer.ready();
        },
        |ours| {
            ours.await_ready();
            ours.read();
            read_twice(ours);
            write_twice(ours);
        },
        &[
            "read 5",
            "read ConnectionReset",
            "read ConnectionReset",
            "write BrokenPipe|ConnectionReset",
            "write BrokenPipe|ConnectionReset",
        ],
    ),
    row(
        "P8",
        "close_notify, TCP stays open, the peer reads on",
        |peer| {
            peer.send(b"hello");
            peer.notify();
            peer.read_to_end();
        },
        |ours| {
            ours.read();
            read_twice(ours);
            write_twice(ours);
            ours.close();
        },
        &[
            "read 5",
            "read end",
            "read end",
            "write 4",
            "write 4",
            "close at once",
            "peer got 8 close_notify",
        ],
    ),
    row(
        "P9",
        "silence, under a read timeout of ours",
        |peer| {
            peer.await_go();
            peer.read_exact(4);
            peer.send(b"hello");
            peer.read_to_end();
        },
        |ours| {
            ours.read_limit(60);
            read_twice(ours);
            ours.go();
            ours.write();
            ours.read_limit(20_000);
            ours.read();
            ours.close();
        },
        &[
            "read TimedOut",
            "read TimedOut",
            "write 4",
            "read 5",
            "close at once",
            "peer got 0 close_notify",
        ],
    ),
    row(
        "P14a",
        "100000 bytes, close_notify and FIN, read in pieces of 700",
        |peer| {
            peer.send(&[1; 100_000]);
            peer.notify();
            peer.fin();
        },
        |ours| {
            ours.read_pieces(700, 100_000);
            read_twice(ours);
        },
        &["pieces 100000", "read end", "read end"],
    ),
    row(
        "P14b",
        "10000 bytes and close_notify, TCP open",
        |peer| {
            peer.send(&[1; 10_000]);
            peer.notify();
        },
        |ours| {
            ours.read_pieces(700, 10_000);
            read_twice(ours);
        },
        &["pieces 10000", "read end", "read end"],
    ),
    row(
        "P14c",
        "10000 bytes in one record, all open, read in pieces of 700",
        |peer| peer.send(&[1; 10_000]),
        |ours| {
            ours.read_pieces(700, 10_000);
            ours.read_limit(60);
            read_twice(ours);
        },
        &["pieces 10000", "read TimedOut", "read TimedOut"],
    ),
];
