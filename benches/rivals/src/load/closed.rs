//! The closed loop: every connection has one request in flight, and sends the
//! next when the answer is whole. It measures cost and throughput. It says
//! nothing about latency under a given load: a slow server is asked less.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

/// Connections that are asked again and again.
pub trait Conversation {
    /// Sends the first requests, and says how many.
    fn begin(&mut self) -> io::Result<u64>;

    /// Waits for answers, and asks anew for each if there are to be `more`: how many came, and how many requests were sent.
    fn go_on(&mut self, more: bool) -> io::Result<(u64, u64)>;
}

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
pub fn for_time(all: &mut impl Conversation, time: Duration) -> io::Result<Outcome> {
    let end = Instant::now() + time;
    run(all, |_| Instant::now() < end)
}

/// Sends `requests` in all, at least one on each connection.
pub fn for_count(all: &mut impl Conversation, requests: u64) -> io::Result<Outcome> {
    run(all, |sent| sent < requests)
}

fn run(all: &mut impl Conversation, go_on: impl Fn(u64) -> bool) -> io::Result<Outcome> {
    let start = Instant::now();
    let mut sent = all.begin()?;
    let mut answered = 0;
    while answered < sent {
        let (more_answers, more_requests) = all.go_on(go_on(sent))?;
        answered += more_answers;
        sent += more_requests;
    }
    Ok(Outcome {
        requests: answered,
        elapsed: start.elapsed(),
    })
}
