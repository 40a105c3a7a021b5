//! A client that survives whatever becomes of its server, with a live log.
//!
//! ```sh
//! cargo run --release -p green-std --example reconnect                              # a demonstration
//! cargo run --release -p green-std --example reconnect -- server 127.0.0.1:7007     # by hand: kill it,
//! cargo run --release -p green-std --example reconnect -- client 127.0.0.1:7007     # stop it, start it
//! ```
//!
//! The demonstration starts a server as a process of its own, then kills it, freezes it, has it
//! reset its connections and, in a network that it makes for the purpose, pulls the cable. Each time
//! the client must notice, and must be served again soon after the server is back.
//!
//! `client.rs` is the part to copy; `server.rs` and `cable.rs` are there to be broken.
#![allow(missing_docs, reason = "a program has no users of its items")]

mod cable;
mod client;
#[path = "../program/mod.rs"]
mod program;
mod server;

use std::error::Error;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cable::Cable;
use crate::client::{Client, LIMIT, PAUSE_MAX};
use crate::program::{Program, about};
use crate::server::{PLEASE_RESET, Process};

const PROGRAM: Program = Program {
    name: "reconnect",
    usage: "\
Usage: reconnect                    a demonstration: kills, freezes, resets, unplugs a server
       reconnect server ADDRESS     answers lines with lines
       reconnect client ADDRESS     asks ten times a second, whatever happens",
};

/// Where the server is in the network of the demonstration's own.
const AT_THE_FAR_END: &str = "10.77.0.2:7007";
/// How long a server stays away.
const OUTAGE: Duration = Duration::from_millis(1500);
/// The client may be in an attempt and in a pause when the server comes back.
const BACK_WITHIN: Duration = LIMIT
    .saturating_add(PAUSE_MAX)
    .saturating_add(Duration::from_millis(500));
/// Exit code of the part in a network of its own, if there can be none.
const NO_NETWORK: i32 = 3;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    PROGRAM.run_words(|words| {
        let outcome = match words {
            [] => demonstrate(),
            ["server", address] => server::serve(address)
                .map_err(about(address))
                .map_err(Into::into),
            ["client", address] => ask_for_ever(address),
            // How the demonstration runs its last part.
            ["unplugged"] => match unplug() {
                Err(error) if error.is::<cable::Refused>() => {
                    println!("skipped: {error}");
                    return Some(Ok(ExitCode::from(NO_NETWORK as u8)));
                }
                outcome => outcome,
            },
            _ => return None,
        };
        Some(outcome.map(|()| ExitCode::SUCCESS))
    })
}

fn ask_for_ever(address: &str) -> Outcome {
    let server = address
        .parse()
        .map_err(|_| format!("{address} is not an address such as 127.0.0.1:7007"))?;
    let client = Client::start(server);
    loop {
        sleep(Duration::from_secs(1));
        println!("{} answers so far", client.answers());
    }
}

fn demonstrate() -> Outcome {
    let mut server = Process::start("127.0.0.1:0")?;
    let address = server.address();
    let client = Client::start(address);
    outage(&client, "the server is killed", || {
        server.kill();
        sleep(OUTAGE);
        server = Process::start(&address.to_string())?;
        Ok(())
    })?;
    outage(&client, "the server is frozen", || {
        server.signal("-STOP")?;
        sleep(OUTAGE);
        server.signal("-CONT")
    })?;
    outage(&client, "the server resets its connections", || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(PLEASE_RESET)?;
        Ok(())
    })?;
    println!("\n--- the cable, in a network of our own");
    let own = cable::in_a_network_of_its_own(&std::env::current_exe()?);
    let status = match own {
        Ok(mut command) => command.arg("unplugged").status()?,
        Err(refused) => {
            println!("skipped: {refused}");
            return Ok(());
        }
    };
    match status.code() {
        Some(0 | NO_NETWORK) => {
            println!("\nEvery time the client noticed, and came back.");
            Ok(())
        }
        _ => Err("the client did not survive the unplugged cable".into()),
    }
}

/// The last part: it runs in a network that has nothing in it yet.
fn unplug() -> Outcome {
    let server = Process::start_in_a_network_of_its_own("0.0.0.0:7007")?;
    let cable = Cable::lay(server.id(), "10.77.0.1/24", "10.77.0.2/24")?;
    let client = Client::start(AT_THE_FAR_END.parse::<SocketAddr>()?);
    outage(&client, "the cable is pulled", || {
        cable.pull()?;
        sleep(OUTAGE);
        cable.plug()?;
        Ok(())
    })
}

/// Breaks and repairs the service, and sees to it that the client notices and comes back.
fn outage(client: &Client, what: &str, break_and_repair: impl FnOnce() -> Outcome) -> Outcome {
    client.wait_for("served", Client::answers, 3)?;
    println!("\n--- {what}");
    let failures = client.failures();
    break_and_repair()?;
    let repaired = Instant::now();
    client.wait_for("aware", |client| client.failures() - failures, 1)?;
    let answers = client.answers();
    client.wait_for("served again", |client| client.answers() - answers, 1)?;
    let took = repaired.elapsed();
    println!("--- served again {took:.1?} after the repair");
    match took <= BACK_WITHIN {
        true => Ok(()),
        false => Err(format!("{what}: {took:?} is more than {BACK_WITHIN:?}").into()),
    }
}
