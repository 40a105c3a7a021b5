//! A server in one call, stopped gracefully: on SIGTERM or Ctrl-C it takes no more connections,
//! answers the lines under way, and cuts whoever takes too long.
//!
//! ```sh
//! cargo run --release -p green-std --example serve -- 127.0.0.1:7017 --grace 5
//! ```
//!
//! It answers each line in capitals; `wait SECONDS` is a line that takes long. With `nc 127.0.0.1
//! 7017` in one terminal and `kill -TERM` in another one sees how it goes.

use std::io::{self, BufRead, BufReader, Write};
use std::process::ExitCode;
use std::time::Duration;

mod program;

use green::convenience::{Listen, Server, StopHandle};
use green::net::TcpStream;
use green::thread;

use program::{
    Error, Long, Parser, Program, Short, Value, ValueExt, about, above_zero, counted, seconds,
};

const PROGRAM: Program = Program {
    name: "serve",
    usage: "\
Usage: serve [ADDRESS] [--grace SECONDS] [--concurrency N]

Answers lines in capitals; `wait SECONDS` is a line that takes that long.

  ADDRESS            where to listen                        (127.0.0.1:7017)
  --grace SECONDS    for the lines under way when it stops  (10)
  --concurrency N    connections at a time                  (1000)

Ctrl-C or SIGTERM stops it: nobody else is let in, the lines under way are
answered, and whoever takes longer than the grace is cut off.",
};

struct Options {
    address: Option<String>,
    grace: Duration,
    concurrency: usize,
}

fn main() -> ExitCode {
    PROGRAM.run(options, |options| run(&options))
}

fn options(mut parser: Parser) -> Result<Option<Options>, Error> {
    let mut options = Options {
        address: None,
        grace: Duration::from_secs(10),
        concurrency: 1000,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("grace") => options.grace = seconds(parser.value()?)?,
            Long("concurrency") => options.concurrency = above_zero(parser.value()?)?,
            Long("help") | Short('h') => return Ok(None),
            Value(word) if options.address.is_none() => options.address = Some(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options) -> io::Result<()> {
    let address = options.address.as_deref().unwrap_or("127.0.0.1:7017");
    let listening = format!("cannot listen on {address}");
    let listener = Listen::new().tcp(address).map_err(about(listening))?;
    let server = Server::new(listener)
        .concurrency(options.concurrency)
        .grace(options.grace)
        .stop_on_signals()?;
    println!("serving on {}", server.listener().local_addr()?);
    let stopping = server.stop_handle();
    let served = server.run(move |stream, _| {
        // How a client goes is its own affair.
        let _ = talk(&stream, &stopping);
    })?;
    let connections = counted(served.connections, "connection");
    println!("stopped; {connections}, {} cut off", served.cut);
    Ok(())
}

/// Answers lines, the last one being the one under way when the server stops.
fn talk(mut stream: &TcpStream, stopping: &StopHandle) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if let Some(seconds) = line.strip_prefix("wait ").and_then(|n| n.parse().ok()) {
            thread::sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        }
        let last = stopping.is_stopping();
        stream.write_all(format!("{}\n", line.to_uppercase()).as_bytes())?;
        if last {
            break;
        }
    }
    Ok(())
}
