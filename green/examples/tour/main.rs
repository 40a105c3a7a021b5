//! A tour of green, for whoever has just cloned it: servers, thousands of connections, and every
//! way in which a peer can go away, all in blocking style, all within this process and 127.0.0.1.
//!
//! ```sh
//! cargo run --release -p green-std --example tour
//! ```
//!
//! It takes about twenty seconds, needs nothing but cargo, and ends with a table. It exits with 0
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
mod reopening;
mod screen;
mod secrecy;
mod sleepers;
mod stage;
mod streams;

use std::env;
use std::process::ExitCode;

use crate::stage::Stage;

const USAGE: &str = "\
Usage: tour [--connections N] [--sleepers N]

  --connections N   connections in the first act       (as many as this machine allows, up to 10,000)
  --sleepers N      green threads in the second act    (as many as its memory allows, up to 100,000)

NO_COLOR=1 in the environment turns colours off.";

fn main() -> ExitCode {
    let mut connections_max = 10_000;
    let mut sleepers_max = 100_000;
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            // How the fourth act starts a process of its own to kill.
            ("--peer", Some(address)) => return departures::be_a_peer(&address),
            ("--connections", Some(count)) if count.parse().is_ok_and(|count: usize| count > 0) => {
                connections_max = count.parse().expect("it was a number a moment ago");
            }
            ("--sleepers", Some(number))
                if number.parse().is_ok_and(|number: usize| number > 0) =>
            {
                sleepers_max = number.parse().expect("it was a number a moment ago");
            }
            ("--help" | "-h", _) => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
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
