//! A tour of green, for whoever has just cloned it: servers, thousands of connections, and every
//! way in which a peer can go away, all in blocking style, all within this process and 127.0.0.1.
//!
//! ```sh
//! cargo run --release -p green-std --example tour
//! ```
//!
//! It takes about half a minute and needs nothing but cargo. It exits with 0
//! only if not a byte was lost, not a thread stuck and not an error misreported.
//!
//! Each act is a file: `crowd.rs`, `sleepers.rs`, `streams.rs`, `departures.rs`, `guards.rs`, `reopening.rs`,
//! `secrecy.rs`, `datagrams.rs`, `epilogue.rs`. Around them: `stage.rs` runs checks and keeps the results, `screen.rs` shows
//! them, `payload.rs` makes traffic whose damage would show, `machine.rs` asks the kernel.
#![allow(missing_docs, reason = "a program has no users of its items")]

mod crowd;
mod datagrams;
mod departures;
mod epilogue;
mod guards;
mod machine;
mod payload;
#[path = "../program/mod.rs"]
mod program;
mod reopening;
mod screen;
mod secrecy;
mod sleepers;
mod stage;
mod streams;

use std::convert::Infallible;
use std::process::ExitCode;

use crate::program::{Error, Long, Parser, Program, Short, ValueExt, above_zero};
use crate::stage::Stage;

const PROGRAM: Program = Program {
    name: "tour",
    usage: "\
Usage: tour [--connections N] [--sleepers N]

  --connections N   connections in the first act       (as many as this machine allows, up to 10,000)
  --sleepers N      green threads in the second act    (as many as its memory allows, up to 100,000)

NO_COLOR=1 in the environment turns colours off.",
};

enum Part {
    Tour {
        connections: usize,
        sleepers: usize,
    },
    /// How the fourth act starts a process of its own to kill.
    Peer(String),
}

fn main() -> ExitCode {
    PROGRAM.run(options, |part| -> Result<ExitCode, Infallible> {
        Ok(match part {
            Part::Tour {
                connections,
                sleepers,
            } => tour(connections, sleepers),
            Part::Peer(address) => departures::be_a_peer(&address),
        })
    })
}

fn options(mut parser: Parser) -> Result<Option<Part>, Error> {
    let (mut connections, mut sleepers) = (10_000, 100_000);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("peer") => return Ok(Some(Part::Peer(parser.value()?.string()?))),
            Long("connections") => connections = above_zero(parser.value()?)?,
            Long("sleepers") => sleepers = above_zero(parser.value()?)?,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(Part::Tour {
        connections,
        sleepers,
    }))
}

fn tour(connections_max: usize, sleepers_max: usize) -> ExitCode {
    let descriptors = machine::open_descriptors();
    let mut stage = Stage::open();
    crowd::play(&mut stage, connections_max);
    sleepers::play(&mut stage, sleepers_max);
    streams::play(&mut stage);
    departures::play(&mut stage);
    guards::play(&mut stage);
    reopening::play(&mut stage);
    secrecy::play(&mut stage);
    datagrams::play(&mut stage);
    epilogue::play(&mut stage, descriptors);
    stage.close()
}
