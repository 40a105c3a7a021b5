//! What our own close ends, and what no close tells: P15 to P17.

use std::time::Duration;

use super::{BULK, Row, read_twice, row, sibling_closes};
use test_support::ends::ours::named;

pub static ROWS: &[Row] = &[
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
            "peer got 0 close_notify",
        ],
    ),
    row(
        "P15b",
        "a sibling shuts down and closes in one breath while we wait in read",
        |peer| {
            peer.until_reading();
            peer.ready();
            peer.read_to_end();
        },
        |ours| {
            let closing = sibling_closes(ours, true);
            ours.read();
            closing.join().unwrap();
            ours.read();
        },
        &[
            "read closed locally|UnexpectedEof",
            "read closed locally",
            "peer got 0 fin",
        ],
    ),
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
            ours.read();
            closing.join().unwrap();
        },
        &[
            "write_all closed locally",
            "write closed locally",
            "read closed locally",
        ],
    ),
    row(
        "P15d",
        "a sibling closes while we wait in the handshake",
        |peer| {
            peer.until_reading();
            peer.ready();
        },
        |ours| {
            let closing = sibling_closes(ours, false);
            ours.handshake();
            ours.read();
            closing.join().unwrap();
        },
        &["handshake closed locally", "read closed locally"],
    )
    .unshaken(),
    row(
        "P16a",
        "our two-way close, never answered",
        |peer| peer.await_go(),
        |ours| {
            ours.unwrap(Duration::from_millis(100));
            ours.go();
        },
        &["unwrap TimedOut"],
    ),
    row(
        "P16b",
        "our two-way close, answered by FIN",
        |peer| {
            peer.fin();
            peer.ready();
        },
        |ours| {
            ours.await_ready();
            ours.read();
            ours.unwrap(Duration::from_secs(4));
        },
        &["read UnexpectedEof", "unwrap left"],
    ),
    row(
        "P16c",
        "our two-way close, answered by RST",
        |peer| {
            peer.reset();
            peer.ready();
        },
        |ours| {
            ours.await_ready();
            ours.unwrap(Duration::from_secs(4));
        },
        &["unwrap left"],
    ),
    row(
        "P16d",
        "our one-way close, never answered",
        |peer| peer.await_go(),
        |ours| {
            ours.close();
            ours.read();
            ours.go();
        },
        &["close at once", "read closed locally"],
    ),
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
        },
        &["read TimedOut", "read UnexpectedEof", "read UnexpectedEof"],
    ),
    row(
        "P17b",
        "we close, though a clone of ours lives on",
        |peer| peer.read_to_end(),
        |ours| {
            let another = ours.stream().another();
            ours.close();
            ours.read();
            if let Err(error) = another.read(&mut [0; 4]) {
                ours.note(format!("clone {}", named(&error)));
            }
        },
        &[
            "close at once",
            "read closed locally",
            "clone closed locally",
            "peer got 0 close_notify",
        ],
    ),
    row(
        "P17c",
        "we drop one clone of two: the peer hears nothing",
        |peer| {
            peer.await_go();
            peer.send(b"hello");
            peer.read_to_end();
        },
        |ours| {
            let another = ours.stream().another();
            drop(another);
            ours.go();
            ours.read();
            ours.write();
            ours.drop_stream();
        },
        &[
            "read 5",
            "write 4",
            "drop at once",
            "peer got 4 close_notify",
        ],
    ),
];
