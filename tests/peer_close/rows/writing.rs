//! What ends a write: P10 to P12, P18, P19.

use std::time::Duration;

use greenhub::Deadline;
use greenhub::green_thread::spawn;

use super::{BULK, Row, read_twice, row, write_twice};
use test_support::ends::ours::named;
use test_support::ends::roles::{Conduct, V12, V13};

pub static ROWS: &[Row] = &[
    row(
        "P10a",
        "RST while we wait in write",
        |peer| {
            peer.until_writing();
            peer.reset();
        },
        |ours| {
            ours.write_all(BULK);
            write_twice(ours);
            read_twice(ours);
        },
        &[
            "write_all ConnectionReset|BrokenPipe",
            "write ConnectionReset|BrokenPipe",
            "write ConnectionReset|BrokenPipe",
            "read ConnectionReset",
            "read ConnectionReset",
        ],
    ),
    row(
        "P10b",
        "closed with our data unread while we wait in write",
        |peer| {
            peer.until_writing();
            peer.close_unread();
        },
        |ours| {
            ours.write_all(BULK);
            write_twice(ours);
            read_twice(ours);
        },
        &[
            "write_all ConnectionReset|BrokenPipe",
            "write ConnectionReset|BrokenPipe",
            "write ConnectionReset|BrokenPipe",
            "read ConnectionReset",
            "read ConnectionReset",
        ],
    ),
    row(
        "P11a",
        "close_notify while we wait in write; never reads",
        |peer| {
            peer.until_writing();
            peer.notify();
            peer.ready();
        },
        |ours| {
            ours.write_limit(300);
            ours.write_all_until_ready(BULK);
            ours.write();
            read_twice(ours);
            ours.drop_stream();
        },
        &[
            "write_all TimedOut",
            "write TimedOut",
            "read end",
            "read end",
            "drop at once",
        ],
    ),
    row(
        "P11b",
        "FIN while we wait in write; never reads",
        |peer| {
            peer.until_writing();
            peer.fin();
            peer.ready();
        },
        |ours| {
            ours.write_limit(300);
            ours.write_all_until_ready(BULK);
            ours.write();
            read_twice(ours);
            ours.close();
        },
        &[
            "write_all TimedOut",
            "write TimedOut",
            "read UnexpectedEof",
            "read UnexpectedEof",
            "close at once",
        ],
    ),
    row(
        "P12a",
        "close_notify while we wait in write, then reads on",
        |peer| {
            peer.until_writing();
            peer.notify();
            peer.read_to_end();
        },
        |ours| {
            ours.write_all(BULK);
            read_twice(ours);
            ours.shutdown_write();
            ours.close();
        },
        &[
            "write_all ok",
            "read end",
            "read end",
            "shutdown_write ok",
            "close at once",
            "peer got 8388608 close_notify",
        ],
    ),
    row(
        "P12b",
        "FIN while we wait in write, then reads on",
        |peer| {
            peer.until_writing();
            peer.fin();
            peer.read_to_end();
        },
        |ours| {
            ours.write_all(BULK);
            read_twice(ours);
            ours.shutdown_write();
            ours.close();
        },
        &[
            "write_all ok",
            "read UnexpectedEof",
            "read UnexpectedEof",
            "shutdown_write ok",
            "close at once",
            "peer got 8388608 close_notify",
        ],
    ),
    row(
        "P18a",
        "asks for a key update while our send buffer is full",
        |peer| {
            peer.until_writing();
            peer.key_update();
            peer.send(b"hello");
            peer.await_go();
            peer.read_to_end();
        },
        |ours| {
            // One green thread fills the connection; another reads meanwhile.
            let (reading, go) = (ours.stream().another(), ours.go.clone());
            let reader = spawn(move || {
                let outcome = reading.read(&mut [0; 64]).map_err(|error| named(&error));
                go.release();
                outcome
            });
            ours.write_all(BULK);
            ours.note(format!("reader {:?}", reader.join().unwrap()));
            ours.shutdown_write();
            ours.close();
        },
        &[
            "write_all ok",
            "reader Ok(5)",
            "shutdown_write ok",
            "close at once",
            "peer got 8388608 close_notify",
        ],
    )
    .roles(|role| role.version == V13 && role.conduct != Conduct::Plain),
    row(
        "P18b",
        "asks for a new handshake while our send buffer is full",
        |peer| {
            peer.until_writing();
            peer.renegotiate();
            peer.ready();
            peer.read_to_end();
        },
        |ours| {
            let (reading, ready) = (ours.stream().another(), ours.ready.clone());
            let reader = spawn(move || {
                ready.acquire(Deadline::NEVER);
                reading.read(&mut [0; 64]).map_err(|error| named(&error))
            });
            ours.write_all(BULK);
            ours.shutdown_write();
            ours.close();
            ours.note(format!("reader {}", reader.join().unwrap().unwrap_err()));
        },
        &[
            "write_all ok",
            "shutdown_write ok",
            "close at once",
            "reader closed locally",
            "peer got 8388608 close_notify",
        ],
    )
    // Only a server may ask, and only in TLS 1.2.
    .roles(|role| role.version == V12 && role.conduct != Conduct::Plain && !role.server),
    row(
        "P19",
        "both ends write and neither reads",
        |peer| {
            peer.tcp()
                .set_write_timeout(Some(Duration::from_secs(1)))
                .unwrap();
            use std::io::Write;
            let bytes = peer.encrypted(&vec![1; BULK]);
            let _ = peer.tcp().write_all(&bytes);
        },
        |ours| {
            ours.write_limit(300);
            ours.write_all(BULK);
            ours.write();
            // What the peer sent is still ours.
            ours.read_limit(20_000);
            ours.read();
            ours.close();
        },
        &[
            "write_all TimedOut",
            "write TimedOut",
            "read 1024",
            "close at once",
        ],
    ),
];
