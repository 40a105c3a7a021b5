//! The rows of the matrix, P1 to P20: what the peer does, what we do, and what we must answer.
//!
//! An expectation is a list of steps; `|` separates the answers that are allowed where the kernel's timing decides.

use std::time::Duration;

use greenhub::Deadline;
use greenhub::green_thread::spawn;

use test_support::certs::Peers;
use test_support::ends::ours::Ours;
use test_support::ends::peer::Peer;
use test_support::ends::roles::{Conduct, Role};

mod closing;
mod handshake;
mod plain;
mod reading;
pub mod vanished;
mod writing;

/// The most that one call may take: what a peer drips, or a kernel tries by itself, lasts longer.
pub const BOUND: Duration = Duration::from_secs(10);

/// One row.
pub struct Row {
    pub name: &'static str,
    pub what: &'static str,
    /// Which roles can play it.
    pub roles: fn(Role) -> bool,
    /// Whether both have shaken hands when it begins.
    pub shaken: bool,
    pub peers: Peers,
    pub peer: fn(&mut Peer),
    pub ours: fn(&mut Ours),
    pub expected: &'static [&'static str],
}

const fn row(
    name: &'static str,
    what: &'static str,
    peer: fn(&mut Peer),
    ours: fn(&mut Ours),
    expected: &'static [&'static str],
) -> Row {
    Row {
        name,
        what,
        roles: |role| role.conduct != Conduct::Plain,
        shaken: true,
        peers: Peers::Easy,
        peer,
        ours,
        expected,
    }
}

impl Row {
    const fn unshaken(self) -> Row {
        Row {
            shaken: false,
            ..self
        }
    }

    const fn strict(self) -> Row {
        Row {
            peers: Peers::Strict,
            shaken: false,
            ..self
        }
    }

    const fn roles(self, roles: fn(Role) -> bool) -> Row {
        Row { roles, ..self }
    }

    const fn plain(self) -> Row {
        self.roles(|role| role.conduct == Conduct::Plain)
    }
}

fn read_twice(ours: &mut Ours) {
    ours.read();
    ours.read();
}

fn write_twice(ours: &mut Ours) {
    ours.write();
    ours.write();
}

/// More than all the buffers between the two ends hold.
const BULK: usize = 8 << 20;

/// A sibling of our green thread, which closes the stream once that waits.
fn sibling_closes(ours: &mut Ours, shutdown_first: bool) -> greenhub::green_thread::JoinHandle<()> {
    let another = ours.stream().another();
    let ready = ours.ready.clone();
    spawn(move || {
        ready.acquire(Deadline::NEVER);
        if shutdown_first {
            another.socket().shutdown(std::net::Shutdown::Both).unwrap();
        }
        another.close();
    })
}

/// All rows, in the order of their numbers; those without TLS last.
pub fn all() -> Vec<&'static Row> {
    let mut tls: Vec<&Row> = [reading::ROWS, writing::ROWS, handshake::ROWS, closing::ROWS]
        .into_iter()
        .flatten()
        .collect();
    let number = |row: &&Row| {
        let digits = row.name.trim_matches(|c: char| !c.is_ascii_digit());
        digits.parse::<u32>().expect("P and a number")
    };
    tls.sort_by_key(number);
    tls.into_iter().chain(plain::ROWS).collect()
}
