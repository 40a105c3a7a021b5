//! What ends a handshake: P13, P20.

use std::time::Duration;

use super::{Row, read_twice, row};

pub static ROWS: &[Row] = &[
    row(
        "P13a",
        "FIN before anything",
        |peer| peer.fin(),
        |ours| {
            ours.handshake();
            ours.handshake();
            ours.read();
            ours.write();
        },
        &[
            "handshake UnexpectedEof",
            "handshake UnexpectedEof",
            "read UnexpectedEof",
            "write UnexpectedEof",
        ],
    )
    .unshaken(),
    row(
        "P13b",
        "FIN while we wait for its first flight",
        |peer| {
            peer.until_reading();
            peer.fin();
        },
        |ours| {
            // Ragged ends are an error of the handshake all the same.
            ours.tls().set_suppress_ragged_eofs(true);
            ours.handshake();
            ours.handshake();
        },
        &["handshake UnexpectedEof", "handshake UnexpectedEof"],
    )
    .unshaken(),
    row(
        "P13c",
        "RST while we wait in the handshake",
        |peer| {
            peer.until_reading();
            peer.reset();
        },
        |ours| {
            ours.handshake();
            ours.handshake();
            ours.read();
        },
        &[
            "handshake ConnectionReset",
            "handshake ConnectionReset",
            "read ConnectionReset",
        ],
    )
    .unshaken(),
    row(
        "P13d",
        "half its first flight, then FIN",
        |peer| {
            let flight = peer.first_flight();
            peer.raw(&flight[..flight.len() / 2]);
            peer.fin();
        },
        |ours| {
            ours.handshake();
            ours.handshake();
        },
        &["handshake UnexpectedEof", "handshake UnexpectedEof"],
    )
    .unshaken(),
    row(
        "P13e",
        "speaks HTTP",
        |peer| peer.raw(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
        |ours| {
            ours.handshake();
            ours.handshake();
            ours.read();
            ours.write();
        },
        &[
            "handshake InvalidData(NotTls)",
            "handshake InvalidData(NotTls)",
            "read InvalidData(NotTls)",
            "write InvalidData(NotTls)",
        ],
    )
    .unshaken(),
    row(
        "P13f",
        "silence in the handshake",
        |peer| peer.await_go(),
        |ours| {
            ours.tls()
                .set_handshake_timeout(Some(Duration::from_millis(60)))
                .unwrap();
            ours.handshake();
            ours.read();
            ours.go();
        },
        &["handshake TimedOut", "read TimedOut"],
    )
    .unshaken(),
    row(
        "P13g",
        "one byte every 100 ms, against a limit of 300 ms",
        |peer| {
            let flight = peer.first_flight();
            // Twelve seconds of it, were nobody to hang up.
            for byte in &flight[..120] {
                use std::io::Write;
                if peer.tcp().write_all(&[*byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        },
        |ours| {
            ours.tls()
                .set_handshake_timeout(Some(Duration::from_millis(300)))
                .unwrap();
            ours.handshake();
            // The same limit of a lazy handshake: that of the read it is a part of.
            ours.tls().set_handshake_timeout(None).unwrap();
            ours.read_limit(300);
            ours.read();
            ours.drop_stream();
        },
        &["handshake TimedOut", "read TimedOut", "drop at once"],
    )
    .unshaken(),
    row(
        "P20a",
        "refuses our certificate, or that we have none, and closes; we read",
        |peer| {
            peer.handshake();
            peer.close();
        },
        |ours| {
            read_twice(ours);
            ours.write();
        },
        &[
            "read InvalidData(Alert(116))|InvalidData(Alert(40))|InvalidData(Alert(48))",
            "read InvalidData(Alert(116))|InvalidData(Alert(40))|InvalidData(Alert(48))",
            "write InvalidData(Alert(116))|InvalidData(Alert(40))|InvalidData(Alert(48))",
        ],
    )
    .strict(),
    row(
        "P20b",
        "the same, and we write first",
        |peer| {
            peer.handshake();
            peer.close();
            peer.ready();
        },
        |ours| {
            // A TLS 1.3 client has shaken hands before it hears that it was refused.
            if ours.tls().do_handshake().is_ok() {
                ours.await_ready();
            }
            ours.write_until_error();
            ours.write();
            ours.read();
        },
        &[
            "write InvalidData(Alert(116))|InvalidData(Alert(40))|InvalidData(Alert(48))",
            "write InvalidData(Alert(116))|InvalidData(Alert(40))|InvalidData(Alert(48))",
            "read InvalidData(Alert(116))|InvalidData(Alert(40))|InvalidData(Alert(48))",
        ],
    )
    .strict(),
];
