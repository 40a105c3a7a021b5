//! The open loop: requests leave at fixed instants, whether the server keeps
//! up or not, and an answer's latency counts from the instant at which its
//! request was **due**. So a server that stalls is charged for every request
//! that should have been sent meanwhile (no coordinated omission).
//!
//! It polls without sleeping, so that its own wake-ups do not show.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::connections::Connections;

/// How long answers may take to come in after the last request.
const GRACE: Duration = Duration::from_secs(10);

/// What an open loop saw.
pub struct Outcome {
    latencies: Histogram<u64>,
    elapsed: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1e3;
        write!(
            out,
            "requests={} seconds={} p50={} p99={} p99.9={} max={}",
            self.latencies.len(),
            self.elapsed.as_secs_f64(),
            micros(0.5),
            micros(0.99),
            micros(0.999),
            self.latencies.max() as f64 / 1e3,
        )
    }
}

/// Sends `rate` requests a second for `time`, connection after connection.
pub fn at_rate(connections: &mut Connections, rate: f64, time: Duration) -> io::Result<Outcome> {
    let interval = Duration::try_from_secs_f64(1.0 / rate).map_err(io::Error::other)?;
    let total = (time.as_secs_f64() * rate) as u64;
    let mut due: Vec<VecDeque<Instant>> = vec![VecDeque::new(); connections.len()];
    let mut latencies = Histogram::new_with_bounds(1, 60_000_000_000, 3)
        .map_err(|error| io::Error::other(error.to_string()))?;
    let start = Instant::now();
    let mut sent = 0;
    let mut last_sent = start;
    while latencies.len() < total {
        let now = Instant::now();
        while sent < total {
            let instant = start + interval.mul_f64(sent as f64);
            if instant > now {
                break;
            }
            let index = (sent % connections.len() as u64) as usize;
            due[index].push_back(instant);
            connections.get(index).send()?;
            sent += 1;
            last_sent = now;
        }
        if sent == total && now > last_sent + GRACE {
            let missing = total - latencies.len();
            let message = format!("{missing} answers missing after {GRACE:?}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        connections.poll(false, |index, answers, _| {
            let now = Instant::now();
            for instant in due[index].drain(..answers) {
                latencies.saturating_record((now - instant).as_nanos() as u64);
            }
            Ok(())
        })?;
    }
    Ok(Outcome {
        latencies,
        elapsed: start.elapsed(),
    })
}

#[cfg(test)]
mod tests;
