//! The closed loop: every connection has one request in flight, and sends the
//! next when the answer is whole. It measures cost and throughput. It says
//! nothing about latency under a given load: a slow server is asked less.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::connections::Connections;

/// What a closed loop did.
pub struct Outcome {
    requests: u64,
    elapsed: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "requests={} seconds={}",
            self.requests,
            self.elapsed.as_secs_f64()
        )
    }
}

/// Runs for `time`, then until the last answer is in.
pub fn for_time(connections: &mut Connections, time: Duration) -> io::Result<Outcome> {
    let end = Instant::now() + time;
    run(connections, |_| Instant::now() < end)
}

/// Sends `requests` in all, at least one on each connection.
pub fn for_count(connections: &mut Connections, requests: u64) -> io::Result<Outcome> {
    run(connections, |sent| sent < requests)
}

fn run(connections: &mut Connections, go_on: impl Fn(u64) -> bool) -> io::Result<Outcome> {
    let start = Instant::now();
    let mut sent = 0;
    let mut answered = 0;
    for index in 0..connections.len() {
        connections.get(index).send()?;
        sent += 1;
    }
    while answered < sent {
        let more = go_on(sent);
        connections.poll(true, |_, answers, connection| {
            answered += answers as u64;
            if more && answers > 0 {
                connection.send()?;
                sent += 1;
            }
            Ok(())
        })?;
    }
    Ok(Outcome {
        requests: answered,
        elapsed: start.elapsed(),
    })
}
