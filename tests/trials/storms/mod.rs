//! Storms. Many threads use a thing at random, while others kill them, let their limits pass and close what they
//! use. Every decision comes from the round's seed.
//!
//! A round checks that nothing was lost and that descriptors and green threads are back to where they were. One that
//! hangs is ended by `bounded`, which prints who waits. A storm runs for a time, in processes of its own, since hubs are
//! fixed for a process:
//!
//! ```text
//! GREEN_TRIALS=full cargo test --test trials storms:: -- --nocapture --test-threads=1
//! ```
//!
//! Whatever fails prints the seed of its round; with `GREEN_SEED` that round is the first.

use std::sync::atomic::AtomicBool;

use green::thread::{Builder, JoinHandle, park_timeout, sleep, spawn, yield_now};

use super::{MICROSECOND, MILLISECOND, Random, is_full, seed};
use test_support::child::alone;

mod channels;
mod crew;
mod processes;
mod sockets;
mod sync;
mod thread_locals;
mod tls;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crew::Crew;

/// What a process has counted.
static OPERATIONS: AtomicU64 = AtomicU64::new(0);
static KILLS: AtomicU64 = AtomicU64::new(0);
static LIMITS: AtomicU64 = AtomicU64::new(0);
static CLOSES: AtomicU64 = AtomicU64::new(0);

fn count(what: &AtomicU64) {
    what.fetch_add(1, SeqCst);
}

/// A round takes a fraction of a second; on a busy machine a few.
const HANGS: Duration = Duration::from_secs(25);
/// What a thread that was let go may take to end.
const SETTLES: Duration = Duration::from_secs(10);

/// One storm on so many hubs: three minutes of it in full, else four seconds. `name` is the calling test's own.
fn storm(name: &str, hubs: &str, round: fn(Random)) {
    let (processes, time) = if is_full() { (9, 20) } else { (1, 4) };
    let first = seed();
    for process in 0..processes {
        let seed = first.wrapping_add(process * 1_000_000);
        let environment = [("GREEN_HUBS", hubs), ("GREEN_SEED", &seed.to_string())];
        let ended = alone(name, &environment, || {
            rounds(name, Duration::from_secs(time), round);
        });
        let status = ended.status;
        assert!(status.success(), "{name}: {status}\n{}", ended.errors);
        let counts = ended.errors.lines().last().unwrap_or_default();
        println!("{name}: seed {seed}, {counts}");
    }
}

/// Round after round until the time is over; each from a seed of its own.
fn rounds(name: &str, time: Duration, round: fn(Random)) {
    let first = seed();
    // What hubs open is not a round's: the first may have no green thread at all.
    green::run(|| ());
    let (began, mut before, mut done) = (Instant::now(), None, 0);
    while done < 2 || began.elapsed() < time {
        let seed = first.wrapping_add(done);
        let label = format!("{name}, GREEN_SEED={seed}");
        let replay = Replay(&label);
        test_support::bounded(&label, HANGS, || {
            round(Random::of(seed, 0));
            // The first round opens what stays for the process.
            let held = before.get_or_insert_with(Held::settled);
            held.is_back();
        });
        std::mem::forget(replay);
        done += 1;
    }
    let [operations, kills, limits, closes] =
        [&OPERATIONS, &KILLS, &LIMITS, &CLOSES].map(|count| count.load(SeqCst));
    assert!(operations > 0, "nothing was tried");
    eprintln!(
        "{done} rounds, {operations} operations, {kills} kills, {limits} limits, {closes} closes"
    );
}

/// Says how a round that panics is run again.
struct Replay<'a>(&'a str);

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        eprintln!("the round that failed: {}", self.0);
    }
}

/// What must be as before at the end of a round.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Held {
    descriptors: usize,
    green_threads: usize,
}

impl Held {
    fn now() -> Held {
        Held {
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            green_threads: green::report().threads.len(),
        }
    }

    /// As it is when no green thread is left and nothing changes any more.
    fn settled() -> Held {
        let (began, mut last) = (Instant::now(), Held::now());
        loop {
            std::thread::sleep(50 * MILLISECOND);
            let now = Held::now();
            if now == last && now.green_threads == 0 {
                return now;
            }
            assert!(
                began.elapsed() < SETTLES,
                "left over: {now:?}\n{}",
                green::report()
            );
            last = now;
        }
    }

    fn is_back(self) {
        let began = Instant::now();
        loop {
            let now = Held::now();
            if now.green_threads == 0 && now.descriptors <= self.descriptors {
                return;
            }
            assert!(
                began.elapsed() < SETTLES,
                "left over: {now:?} after {self:?}\n{}",
                green::report()
            );
            std::thread::sleep(MILLISECOND);
        }
    }
}

/// Does something when it is dropped, whatever ends the block. A kill may arrive where it waits; then it is done again,
/// while that unwinds and no other can.
struct Finally<F: FnMut()>(Option<F>);

fn finally<F: FnMut()>(f: F) -> Finally<F> {
    Finally(Some(f))
}

impl<F: FnMut()> Finally<F> {
    /// Nothing is to be done any more.
    fn disarm(mut self) {
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

/// Waits for the parts of a round, and panics as they did.
fn join_all(parts: Vec<std::thread::JoinHandle<()>>) {
    for part in parts {
        if let Err(payload) = part.join() {
            std::panic::resume_unwind(payload);
        }
    }
}

/// Lets others in, or time pass, or neither.
fn pause(random: &mut Random) {
    match random.below(8) {
        0 => yield_now(),
        1 => sleep(MICROSECOND * random.below(200) as u32),
        2 => park_timeout(MICROSECOND * random.below(100) as u32),
        _ => {}
    }
}

/// Runs `block`, under a limit that may pass in a third of the cases.
fn limited<T>(random: &mut Random, block: impl FnOnce() -> T) -> Option<T> {
    if random.below(3) > 0 {
        return Some(block());
    }
    let ended = green::timeout(MICROSECOND * random.below(400) as u32, block);
    if ended.is_err() {
        count(&LIMITS);
    }
    ended.ok()
}

macro_rules! storms {
    ($($module:ident: $two:ident, $four:ident;)*) => {$(
        #[test]
        fn $two() {
            storm(concat!("storms::", stringify!($two)), "2", $module::round);
        }

        #[test]
        fn $four() {
            storm(concat!("storms::", stringify!($four)), "4", $module::round);
        }
    )*};
}

storms! {
    sync: t9_locks_survive_a_storm_on_two_hubs, t9_locks_survive_a_storm_on_four_hubs;
    channels: t9_channels_survive_a_storm_on_two_hubs, t9_channels_survive_a_storm_on_four_hubs;
    sockets: t9_sockets_survive_a_storm_on_two_hubs, t9_sockets_survive_a_storm_on_four_hubs;
    tls: t9_tls_survives_a_storm_on_two_hubs, t9_tls_survives_a_storm_on_four_hubs;
    processes: t9_processes_survive_a_storm_on_two_hubs, t9_processes_survive_a_storm_on_four_hubs;
    thread_locals: t9_thread_locals_survive_a_storm_on_two_hubs, t9_thread_locals_survive_a_storm_on_four_hubs;
}
