//! A soak: everything at once in one program. Locks, channels, sockets, TLS, processes, thread-locals, tasks, things
//! lent, waits by number, files, signals, clients that come back, asyncio, a web server, kills and limits, and a
//! backdoor with clients that watch.
//!
//! Each of these is a *lane*, which runs round after round, each from a seed, and each round checks what it did. Every
//! so often all lanes stop, and then descriptors, green threads, OS threads, timers and memory must be back where they
//! were. `GREEN_SOAK` is the time in seconds, a few if it is not set:
//!
//! ```text
//! GREEN_SOAK=7200 cargo test --release --test soak -- --nocapture
//! ```
//!
//! The first line has the address of a page that shows the program live. Whatever fails prints its lane and the seed of
//! its round; with `GREEN_SEED` that round is the first of its lane.

mod asyncio;
mod files;
mod footprint;
mod reconnecting;
mod signals;
#[path = "../storms/mod.rs"]
mod storms;
mod watching;
mod web;

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use footprint::Footprint;
use storms::{CLOSES, KILLS, LIMITS, OPERATIONS};
use test_support::random::{Random, seed};

/// A part of the program, and how many of its rounds are done.
struct Lane {
    name: &'static str,
    round: fn(Random),
    done: AtomicU64,
}

const fn lane(name: &'static str, round: fn(Random)) -> Lane {
    Lane {
        name,
        round,
        done: AtomicU64::new(0),
    }
}

static LANES: [Lane; 14] = [
    lane("locks", storms::sync::round),
    lane("channels", storms::channels::round),
    lane("sockets", storms::sockets::round),
    lane("TLS", storms::tls::round),
    lane("processes", storms::processes::round),
    lane("tasks", storms::tasks::round),
    lane("lending", storms::lending::round),
    lane("waits by number", storms::numbers::round),
    lane("thread-locals", storms::thread_locals::round),
    lane("files", files::round),
    lane("signals", signals::round),
    lane("reconnecting", reconnecting::round),
    lane("asyncio", asyncio::round),
    lane("web", web::round),
];

/// A round takes a fraction of a second by itself; beside thirteen others on a busy machine some seconds.
const HANGS: Duration = Duration::from_secs(100);
/// How long the lanes run between two looks at what the program holds.
const LEG: Duration = Duration::from_secs(20);

impl Lane {
    /// Round after round until the time is over: one at least.
    fn run(&self, first: u64, until: Instant) {
        loop {
            let seed = first.wrapping_add(self.done.load(SeqCst));
            let label = format!("soak, lane {}, GREEN_SEED={seed}", self.name);
            storms::run(&label, HANGS, || (self.round)(Random::of(seed, 0)));
            self.done.fetch_add(1, SeqCst);
            if Instant::now() >= until {
                return;
            }
        }
    }
}

/// All lanes side by side, until the time is over.
fn leg(first: u64, until: Instant) {
    let running = LANES.iter().map(|lane| {
        let thread = std::thread::Builder::new().name(lane.name.to_owned());
        thread.spawn(move || lane.run(first, until)).unwrap()
    });
    storms::join_all(running.collect());
}

fn seconds() -> u64 {
    let seconds = std::env::var("GREEN_SOAK").ok();
    seconds.map_or(4, |seconds| {
        seconds.parse().expect("a number in GREEN_SOAK")
    })
}

#[test]
fn everything_at_once_leaves_nothing_behind() {
    let seconds = seconds();
    let limit = Duration::from_secs(2 * seconds) + 4 * HANGS;
    test_support::bounded("soak", limit, || soak(Duration::from_secs(seconds)));
}

fn soak(time: Duration) {
    let first = seed();
    green::run(|| ());
    let watched = watching::Watched::open();
    println!(
        "soak: GREEN_SEED={first}, {} s, live at {}",
        time.as_secs(),
        watched.url()
    );
    let began = Instant::now();
    // The first leg, of one round a lane, opens what stays for the process.
    leg(first, began);
    let start = Footprint::settled();
    let end = Instant::now() + time;
    println!("soak: {:.0?}: {start}", began.elapsed());
    while Instant::now() < end {
        let watchers = watched.watch();
        leg(first, end.min(Instant::now() + LEG));
        watchers.leave();
        let now = start.is_back();
        let rounds: Vec<_> = LANES
            .iter()
            .map(|lane| format!("{} {}", lane.name, lane.done.load(SeqCst)))
            .collect();
        let [operations, kills, limits, closes] =
            [&OPERATIONS, &KILLS, &LIMITS, &CLOSES].map(|count| count.load(SeqCst));
        println!(
            "soak: {:.0?}: {now}; {operations} operations, {kills} kills, {limits} limits, {closes} closes, {} looks; \
             rounds: {}",
            began.elapsed(),
            watched.looks(),
            rounds.join(", ")
        );
    }
    assert!(watched.looks() > 0, "nobody has watched");
    drop(watched);
    start.is_over(time >= Duration::from_secs(60));
}
