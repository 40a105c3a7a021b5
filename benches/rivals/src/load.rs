//! The load generator: a process of its own that holds N connections and does
//! on them what the orchestrator says, a command a line on standard input.
//!
//! | talk | command | what it does | answers |
//! |---|---|---|---|
//! | `tcp`, `tls`, `http` | `closed SECONDS` | a request on every connection, the next one when the answer is whole | `requests`, `seconds` |
//! | | `count REQUESTS` | the same, until so many are answered | `requests`, `seconds` |
//! | | `open RATE SECONDS` | requests at fixed instants, whatever the server does | percentiles, in µs |
//! | `http2` | `closed SECONDS`, `count REQUESTS` | the same, with ten requests under way on every connection | `requests`, `seconds` |
//! | `bulk` | `bulk UP DOWN SECONDS` | so many bytes each way on every TLS connection, again and again | `requests`, `seconds` |
//! | `visits` | `closed SECONDS`, `count REQUESTS` | N TLS clients that connect, have one message echoed, and leave | `requests`, `seconds` |
//!
//! At the end of a command every request is answered and nothing is in flight,
//! so that the server's processor time between two commands belongs to exactly
//! the requests counted.

mod closed;
mod connections;
mod exchange;
mod http2;
mod open;
mod tls;

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::time::Duration;

use connections::Connections;
use exchange::Exchange;
use program::bulk::Request;
use tls::{Bulk, Visitors};

/// Connects and serves commands until standard input ends.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> io::Result<()> {
    let mut address = None;
    let mut count = 1;
    let mut talk = String::from("tcp");
    let mut cpu = None;
    let mut nice = None;
    let invalid = |error: lexopt::Error| io::Error::other(error.to_string());
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(invalid)? {
        use lexopt::{Arg::Long, ValueExt};
        match argument {
            Long("address") => {
                address = Some(parse::<SocketAddr>(
                    parser.value().map_err(invalid)?.to_str(),
                )?);
            }
            Long("talk") => talk = parser.value().and_then(|it| it.string()).map_err(invalid)?,
            Long("connections") => {
                count = parser
                    .value()
                    .and_then(|value| value.parse())
                    .map_err(invalid)?;
            }
            Long("cpu") => {
                cpu = Some(
                    parser
                        .value()
                        .and_then(|value| value.parse())
                        .map_err(invalid)?,
                );
            }
            Long("nice") => {
                nice = Some(
                    parser
                        .value()
                        .and_then(|value| value.parse())
                        .map_err(invalid)?,
                );
            }
            other => return Err(invalid(other.unexpected())),
        }
    }
    let address = address.ok_or_else(|| io::Error::other("no --address"))?;
    program::prepare(cpu, nice)?;

    let mut talking = match talk.as_str() {
        "tcp" => Talking::Messages(Connections::open(address, count, false, Exchange::echo)?),
        "tls" => Talking::Messages(Connections::open(address, count, true, Exchange::echo)?),
        "http" => Talking::Messages(Connections::open(address, count, false, Exchange::http)?),
        "http2" => Talking::Http2(http2::Connections::open(address, count)?),
        "bulk" => Talking::Bulk(Bulk::open(address, count)?),
        "visits" => Talking::Visits(Visitors::open(address, count)?),
        _ => return Err(io::Error::other(format!("no talk {talk:?}"))),
    };
    answer("ready")?;
    for line in io::stdin().lock().lines() {
        let outcome = talking.command(&line?)?;
        answer(&outcome)?;
    }
    Ok(())
}

/// What goes over the connections.
enum Talking {
    Messages(Connections),
    Http2(http2::Connections),
    Bulk(Bulk),
    Visits(Visitors),
}

impl Talking {
    fn command(&mut self, line: &str) -> io::Result<String> {
        let mut words = line.split_whitespace();
        let command = words.next().unwrap_or("");
        Ok(match (self, command) {
            (Talking::Messages(all), "closed") => {
                closed::for_time(all, seconds(words.next())?)?.to_string()
            }
            (Talking::Messages(all), "count") => {
                closed::for_count(all, parse(words.next())?)?.to_string()
            }
            (Talking::Messages(all), "open") => {
                let rate: f64 = parse(words.next())?;
                open::at_rate(all, rate, seconds(words.next())?)?.to_string()
            }
            (Talking::Http2(all), "closed") => {
                closed::for_time(all, seconds(words.next())?)?.to_string()
            }
            (Talking::Http2(all), "count") => {
                closed::for_count(all, parse(words.next())?)?.to_string()
            }
            (Talking::Bulk(all), "bulk") => {
                let (up, down) = (parse(words.next())?, parse(words.next())?);
                let time = seconds(words.next())?;
                all.for_time(Request { up, down }, time)?.to_string()
            }
            (Talking::Visits(all), "closed") => all.for_time(seconds(words.next())?)?.to_string(),
            (Talking::Visits(all), "count") => all.for_count(parse(words.next())?)?.to_string(),
            _ => return Err(io::Error::other(format!("no command {line:?}"))),
        })
    }
}

fn parse<T: std::str::FromStr>(word: Option<&str>) -> io::Result<T> {
    word.and_then(|word| word.parse().ok())
        .ok_or_else(|| io::Error::other(format!("a bad value: {word:?}")))
}

fn seconds(word: Option<&str>) -> io::Result<Duration> {
    let seconds = parse(word)?;
    Duration::try_from_secs_f64(seconds).map_err(io::Error::other)
}

fn answer(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
