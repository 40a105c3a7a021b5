//! Storms: each kind of round again and again for a time, in processes of their own, since hubs are fixed for a process.
//!
//! After each round descriptors and green threads are back to where they were. One that hangs is ended by `bounded`,
//! which prints who waits:
//!
//! ```text
//! GREEN_TRIALS=full cargo test --test trials storms:: -- --nocapture --test-threads=1
//! ```
//!
//! Whatever fails prints the seed of its round; with `GREEN_SEED` that round is the first.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use green::greenio::GreenSocket;
use green::thread::{spawn_local, yield_now};
use test_support::child::alone;
use test_support::random::{Random, seed};

use super::is_full;
use kinds::{CLOSES, KILLS, LIMITS, MILLISECOND, OPERATIONS, SETTLES};
use kinds::{channels, lending, numbers, processes, sockets, sync, tasks, thread_locals, tls};

#[path = "../storms/mod.rs"]
mod kinds;

/// A round takes a fraction of a second; on a busy machine a few.
const HANGS: Duration = Duration::from_secs(100);

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
    // What the library opens once is not a round's: the first may have no green thread at all.
    green::run(close_under_a_reader);
    let (began, mut before, mut done) = (Instant::now(), None, 0);
    while done < 2 || began.elapsed() < time {
        let seed = first.wrapping_add(done);
        let label = format!("{name}, GREEN_SEED={seed}");
        kinds::run(&label, HANGS, || {
            round(Random::of(seed, 0));
            // The first round opens what stays for the process.
            let held = before.get_or_insert_with(Held::settled);
            held.is_back();
        });
        done += 1;
    }
    let [operations, kills, limits, closes] =
        [&OPERATIONS, &KILLS, &LIMITS, &CLOSES].map(|count| count.load(SeqCst));
    assert!(operations > 0, "nothing was tried");
    eprintln!(
        "{done} rounds, {operations} operations, {kills} kills, {limits} limits, {closes} closes"
    );
}

/// The first close of this kind opens a descriptor that stays for the process.
fn close_under_a_reader() {
    let (near, _far) = green::os::unix::net::UnixStream::pair().unwrap();
    let near: Arc<GreenSocket> = Arc::new(near.into());
    let reader = near.clone();
    let reads = spawn_local(move || (&*reader).read(&mut [0]));
    yield_now();
    near.close();
    assert!(reads.join().unwrap().is_err());
}

/// What is open.
fn descriptors() -> Vec<std::path::PathBuf> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .collect()
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
                "left over: {now:?} after {self:?}\n{:?}\n{}",
                descriptors(),
                green::report()
            );
            std::thread::sleep(MILLISECOND);
        }
    }
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
    sync: locks_survive_a_storm_on_two_hubs, locks_survive_a_storm_on_four_hubs;
    channels: channels_survive_a_storm_on_two_hubs, channels_survive_a_storm_on_four_hubs;
    sockets: sockets_survive_a_storm_on_two_hubs, sockets_survive_a_storm_on_four_hubs;
    tls: tls_survives_a_storm_on_two_hubs, tls_survives_a_storm_on_four_hubs;
    processes: processes_survive_a_storm_on_two_hubs, processes_survive_a_storm_on_four_hubs;
    lending: what_is_lent_survives_a_storm_on_two_hubs, what_is_lent_survives_a_storm_on_four_hubs;
    numbers: waits_by_number_survive_a_storm_on_two_hubs, waits_by_number_survive_a_storm_on_four_hubs;
    tasks: tasks_survive_a_storm_on_two_hubs, tasks_survive_a_storm_on_four_hubs;
    thread_locals: thread_locals_survive_a_storm_on_two_hubs, thread_locals_survive_a_storm_on_four_hubs;
}
