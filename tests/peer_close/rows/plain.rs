//! The rows that have a meaning without TLS.

use std::time::Duration;

use greenhub::green_thread::sleep;

use super::{BULK, Row, read_twice, row, sibling_closes, write_twice};

pub static ROWS: &[Row] = &[
    row(
        "P3",
        "FIN; the peer reads on",
        |peer| {
            peer.send(b"hello");
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
            "peer got 8 fin",
        ],
    )
    .plain(),
    row(
        "P4",
        "the peer's socket closed",
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
            ours.read();
        },
        &[
            "read end",
            "read end",
            "write 4",
            "write BrokenPipe",
            "read end",
        ],
    )
    .plain(),
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
            "write BrokenPipe",
            "write BrokenPipe",
            "read ConnectionReset",
        ],
    )
    .plain(),
    row(
        "P7",
        "data, then RST, both before we read",
        |peer| {
            peer.send(b"hello");
            std::thread::sleep(Duration::from_millis(60));
            peer.reset();
            peer.ready();
        },
        |ours| {
            ours.await_ready();
            ours.read();
            read_twice(ours);
        },
        &["read 5", "read ConnectionReset", "read ConnectionReset"],
    )
    .plain(),
    row(
        "P9",
        "silence, under a read timeout of ours",
        |peer| {
            peer.await_go();
            peer.read_exact(4);
            peer.send(b"hello");
        },
        |ours| {
            ours.read_limit(60);
            read_twice(ours);
            ours.go();
            ours.write();
            ours.read_limit(20_000);
            ours.read();
        },
        // Plain sockets report it as std's do.
        &["read WouldBlock", "read WouldBlock", "write 4", "read 5"],
    )
    .plain(),
    row(
        "P10",
        "RST while we wait in write",
        |peer| {
            peer.until_writing();
            peer.reset();
        },
        |ours| {
            ours.write_all(BULK);
            ours.write();
            read_twice(ours);
        },
        &[
            "write_all ConnectionReset",
            "write BrokenPipe",
            "read ConnectionReset",
            "read ConnectionReset",
        ],
    )
    .plain(),
    row(
        "P11",
        "FIN while we wait in write; never reads",
        |peer| {
            peer.until_writing();
            peer.fin();
            peer.ready();
        },
        |ours| {
            ours.write_limit(300);
            ours.write_all_until_ready(BULK);
            read_twice(ours);
            ours.close();
        },
        &[
            "write_all WouldBlock",
            "read end",
            "read end",
            "close at once",
        ],
    )
    .plain(),
    row(
        "P12",
        "FIN while we wait in write, then reads on",
        |peer| {
            peer.until_writing();
            peer.fin();
            peer.read_to_end();
        },
        |ours| {
            ours.write_all(BULK);
            read_twice(ours);
            ours.close();
        },
        &[
            "write_all ok",
            "read end",
            "read end",
            "close at once",
            "peer got 8388608 fin",
        ],
    )
    .plain(),
    row(
        "P15a",
        "a sibling closes while we wait in read",
        |peer| {
            peer.until_reading();
            peer.ready();
            peer.read_to_end();
        },
        |ours| {
            let closing = sibling_closes(ours, false);
            read_twice(ours);
            ours.write();
            closing.join().unwrap();
        },
        &[
            "read closed locally",
            "read closed locally",
            "write closed locally",
            "peer got 0 fin",
        ],
    )
    .plain(),
    row(
        "P15c",
        "a sibling closes while we wait in write",
        |peer| {
            peer.until_writing();
            peer.ready();
        },
        |ours| {
            let closing = sibling_closes(ours, false);
            ours.write_all(BULK);
            ours.write();
            closing.join().unwrap();
        },
        &["write_all closed locally", "write closed locally"],
    )
    .plain(),
    row(
        "P17a",
        "closed, but a duplicate holds the descriptor",
        |peer| {
            let duplicate = peer.duplicate();
            peer.close();
            peer.await_go();
            drop(duplicate);
        },
        |ours| {
            ours.read_limit(60);
            ours.read();
            ours.go();
            ours.read_limit(20_000);
            read_twice(ours);
            sleep(Duration::ZERO);
        },
        &["read WouldBlock", "read end", "read end"],
    )
    .plain(),
];
