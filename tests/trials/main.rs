//! Reliability trials of the runtime: many rounds of the races that hang programs.
//!
//! Waiters of one descriptor, close under a waiter, reuse of a descriptor's number,
//! data at the deadline, a waiter that dies as it is woken, and random storms, which
//! `storms` tells of. Short by default; with
//! `GREEN_TRIALS=full` the full counts:
//!
//! ```text
//! GREEN_TRIALS=full cargo test --release --test trials -- --nocapture --test-threads=1
//! ```
//!
//! Each prints its seed and its counts; `GREEN_SEED` gives a seed again.

use std::io;
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use greenhub::Deadline;
use greenhub::green_thread::{Builder, sleep, spawn, yield_now};
use greenhub::source::{Direction, Source};
use greenhub::{ClosedLocally, is_timeout};

mod close;
mod deadline;
mod many_waiters;
mod reuse;
mod storms;
mod wake_up;

use test_support::random::{Random, seed};

const MICROSECOND: Duration = Duration::from_micros(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// How many rounds to run, and the seed.
struct Trial {
    name: &'static str,
    rounds: u64,
    seed: u64,
}

fn is_full() -> bool {
    std::env::var("GREEN_TRIALS").is_ok_and(|trials| trials == "full")
}

impl Trial {
    fn new(name: &'static str, short: u64, full: u64) -> Trial {
        Trial {
            name,
            rounds: if is_full() { full } else { short },
            seed: seed(),
        }
    }

    /// Runs `body`, bounded in time, and prints what it counted.
    fn run(self, body: impl FnOnce(u64, Random) -> String) {
        let Trial { name, rounds, seed } = self;
        let limit = Duration::from_secs(60) + 20 * MILLISECOND * u32::try_from(rounds).unwrap();
        let began = Instant::now();
        let counts = test_support::bounded(name, limit, || body(rounds, Random::new(seed)));
        println!(
            "{name}: seed {seed}, {rounds} rounds, {counts}, {:.1?}",
            began.elapsed()
        );
    }
}

/// A connected stream: a source and its peer.
fn pair() -> (Source, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Source::new(ours.into()), theirs)
}

fn receive(source: &Source, limit: Option<Duration>) -> io::Result<Vec<u8>> {
    let mut buffer = [MaybeUninit::uninit(); 64];
    let n = source.retry_read(Deadline::within(limit), 64, |fd| {
        socket2::SockRef::from(&fd).recv(&mut buffer)
    })?;
    Ok(buffer[..n].iter().map(|byte| byte_of(*byte)).collect())
}

#[expect(unsafe_code, reason = "recv initialised the byte")]
fn byte_of(byte: MaybeUninit<u8>) -> u8 {
    // SAFETY: called for the bytes that recv has written alone.
    unsafe { byte.assume_init() }
}
