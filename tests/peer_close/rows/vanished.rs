//! The rows whose peer is gone without a packet: P9 and P16, to be played over a link that is cut once both have
//! shaken hands.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use super::{BULK, Row, row};
use test_support::ends::roles::Role;

const fn any(row: Row) -> Row {
    row.roles(|_: Role| true)
}

pub static ROWS: &[Row] = &[
    any(row(
        "P9a",
        "vanished; we wait in read, with keepalive (1 s idle, every 1 s, 2 probes)",
        |_| (),
        |ours| {
            let keepalive = TcpKeepalive::new()
                .with_time(Duration::from_secs(1))
                .with_interval(Duration::from_secs(1))
                .with_retries(2);
            SockRef::from(ours.stream().socket())
                .set_tcp_keepalive(&keepalive)
                .unwrap();
            ours.read();
            ours.read();
            ours.write();
        },
        &[
            "read TimedOut",
            "read TimedOut",
            "write TimedOut|BrokenPipe",
        ],
    )),
    any(row(
        "P9b",
        "vanished; we read after a write, under TCP_USER_TIMEOUT 1 s",
        |_| (),
        |ours| {
            let limit = Some(Duration::from_secs(1));
            SockRef::from(ours.stream().socket())
                .set_tcp_user_timeout(limit)
                .unwrap();
            ours.write();
            ours.read();
            ours.read();
        },
        &["write 4", "read TimedOut", "read TimedOut"],
    )),
    any(row(
        "P9c",
        "vanished; we wait in write, under TCP_USER_TIMEOUT 1 s",
        |_| (),
        |ours| {
            let limit = Some(Duration::from_secs(1));
            SockRef::from(ours.stream().socket())
                .set_tcp_user_timeout(limit)
                .unwrap();
            ours.write_all(BULK);
            ours.write();
            ours.read();
        },
        &[
            "write_all TimedOut",
            "write TimedOut|BrokenPipe",
            "read TimedOut",
        ],
    )),
    row(
        "P9d",
        "vanished; only a limit of ours",
        |_| (),
        |ours| {
            ours.read_limit(100);
            ours.read();
            ours.read();
            ours.close();
        },
        &["read TimedOut", "read TimedOut", "close at once"],
    ),
    row(
        "P16a",
        "vanished; our two-way close",
        |_| (),
        |ours| ours.unwrap(Duration::from_millis(100)),
        &["unwrap TimedOut"],
    ),
    row(
        "P16d",
        "vanished; our one-way close",
        |_| (),
        |ours| {
            ours.close();
            ours.read();
        },
        &["close at once", "read closed locally"],
    ),
];
