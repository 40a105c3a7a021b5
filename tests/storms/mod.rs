//! Many threads use a thing at random, while others kill them, let their limits pass and close what they use. Every
//! decision of a round comes from its seed, and the round checks that nothing was lost.
//!
//! `tests/trials` runs one kind alone for a time, `tests/soak` all at once.

use std::sync::atomic::AtomicBool;

use green::thread::{Builder, JoinHandle, park_timeout, sleep, spawn, yield_now};

use test_support::random::Random;

pub mod channels;
mod crew;
pub mod lending;
pub mod numbers;
pub mod processes;
pub mod sockets;
pub mod sync;
pub mod tasks;
pub mod thread_locals;
pub mod tls;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

pub use crew::Crew;

pub const MICROSECOND: Duration = Duration::from_micros(1);
pub const MILLISECOND: Duration = Duration::from_millis(1);

/// What a process has counted.
pub static OPERATIONS: AtomicU64 = AtomicU64::new(0);
pub static KILLS: AtomicU64 = AtomicU64::new(0);
pub static LIMITS: AtomicU64 = AtomicU64::new(0);
pub static CLOSES: AtomicU64 = AtomicU64::new(0);

pub fn count(what: &AtomicU64) {
    what.fetch_add(1, SeqCst);
}

/// What a thread that was let go may take to end.
pub const SETTLES: Duration = Duration::from_secs(60);

/// Runs a round; if it hangs or fails, the label says how it is run again.
pub fn run(label: &str, limit: Duration, round: impl FnOnce()) {
    let replay = Replay(label);
    test_support::bounded(label, limit, round);
    std::mem::forget(replay);
}

/// Says how a round that panics is run again.
struct Replay<'a>(&'a str);

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        eprintln!("the round that failed: {}", self.0);
    }
}

/// Does something when it is dropped, whatever ends the block. A kill may arrive where it waits; then it is done again,
/// while that unwinds and no other can.
pub struct Finally<F: FnMut()>(Option<F>);

pub fn finally<F: FnMut()>(f: F) -> Finally<F> {
    Finally(Some(f))
}

impl<F: FnMut()> Finally<F> {
    /// Nothing is to be done any more.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        struct Again<F: FnMut()>(F);
        impl<F: FnMut()> Drop for Again<F> {
            fn drop(&mut self) {
                (self.0)();
            }
        }
        if let Some(f) = &mut self.0 {
            let again = Again(f);
            (again.0)();
            std::mem::forget(again);
        }
    }
}

/// Who is inside now; never more than may be.
#[derive(Default)]
struct Inside(AtomicU64);

impl Inside {
    fn enter(&self, most: usize) -> impl Drop + '_ {
        let others = self.0.fetch_add(1, SeqCst);
        let inside = finally(|| {
            self.0.fetch_sub(1, SeqCst);
        });
        assert!(others < most as u64, "{others} were inside already");
        inside
    }

    fn is_empty(&self) -> bool {
        self.0.load(SeqCst) == 0
    }
}

/// Runs the parts of a round at once, each on an OS thread and from a seed of its own.
pub fn side_by_side(mut random: Random, parts: &[fn(Random)]) {
    let run = |(number, &part): (usize, &fn(Random))| {
        let random = Random::of(random.below(u64::MAX), number as u64);
        std::thread::spawn(move || part(random))
    };
    join_all(parts.iter().enumerate().map(run).collect());
}

/// Waits for the parts of a round, and panics as they did.
pub fn join_all(parts: Vec<std::thread::JoinHandle<()>>) {
    for part in parts {
        if let Err(payload) = part.join() {
            std::panic::resume_unwind(payload);
        }
    }
}

/// Lets others in, or time pass, or neither.
pub fn pause(random: &mut Random) {
    match random.below(8) {
        0 => yield_now(),
        1 => sleep(MICROSECOND * random.below(200) as u32),
        2 => park_timeout(MICROSECOND * random.below(100) as u32),
        _ => {}
    }
}

/// Runs `block`, under a limit that may pass in a third of the cases.
pub fn limited<T>(random: &mut Random, block: impl FnOnce() -> T) -> Option<T> {
    if random.below(3) > 0 {
        return Some(block());
    }
    let ended = green::timeout(MICROSECOND * random.below(400) as u32, block);
    if ended.is_err() {
        count(&LIMITS);
    }
    ended.ok()
}
