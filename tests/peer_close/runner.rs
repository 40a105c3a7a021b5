//! Plays a row in all its roles at once, and looks at what is left in the hub.

use std::thread;
use std::time::{Duration, Instant};

use greenhub::green_thread::{Builder, sleep};

use crate::namespace::Link;
use crate::rows::{BOUND, Row};
use test_support::ends::roles::{Conduct, ROLES, Role};
use test_support::ends::{ends, ends_over};

/// What a row came to in one role.
pub struct Outcome {
    pub role: Role,
    pub observed: Vec<String>,
    pub slowest: Duration,
}

impl Outcome {
    /// What is wrong, if anything.
    pub fn fault(&self, row: &Row) -> Option<String> {
        let fits = self.observed.len() == row.expected.len()
            && self
                .observed
                .iter()
                .zip(row.expected)
                .all(|(ours, expected)| matches(ours, expected));
        if !fits {
            return Some(format!("expected {}", row.expected.join(", ")));
        }
        (self.slowest > BOUND)
            .then(|| format!("a call took {:?}, more than {BOUND:?}", self.slowest))
    }
}

/// `expected` is a call and the answers that it may have.
fn matches(observed: &str, expected: &str) -> bool {
    match (observed.split_once(' '), expected.split_once(' ')) {
        (Some((call, answer)), Some((expected_call, answers))) => {
            call == expected_call && answers.split('|').any(|one| one == answer)
        }
        _ => observed == expected,
    }
}

/// Plays the row in every role, all at once.
pub fn play(row: &'static Row, crowded: bool) -> Vec<Outcome> {
    let before = HubState::IDLE;
    before.await_return(row.name, |now| now);
    let playing: Vec<_> = ROLES
        .into_iter()
        .filter(|role| (row.roles)(*role))
        .map(|role| {
            let facing = format!("{} {}", row.name, role.name());
            let (mut ours, mut peer) = ends(role, row.peers, &facing);
            let shaken = row.shaken && role.conduct != Conduct::Plain;
            let playing = thread::spawn(move || {
                if shaken {
                    assert!(peer.handshake());
                    // What our end sent behind its handshake has arrived too.
                    peer.await_go();
                }
                (row.peer)(&mut peer);
                peer
            });
            let near = Builder::new().name(facing).spawn(move || {
                if shaken {
                    ours.tls().do_handshake().unwrap();
                    ours.go();
                }
                (row.ours)(&mut ours);
                ours
            });
            (role, near.unwrap(), playing)
        })
        .collect();
    let mut played = Vec::new();
    for (role, near, peer) in playing {
        let ours = near
            .join()
            .unwrap_or_else(|_| panic!("{} as {}: our side panicked", row.name, role.name()));
        let peer = peer
            .join()
            .unwrap_or_else(|_| panic!("{} as {}: the peer panicked", row.name, role.name()));
        played.push((role, ours, peer));
    }
    // The connections live on, all of them in their final state.
    before.await_return(row.name, |now| (now.threads, now.deadlines));
    if !crowded {
        await_quiet(row.name);
    }
    let outcomes = played
        .into_iter()
        .map(|(role, ours, mut peer)| {
            let mut observed = ours.log;
            observed.append(&mut peer.log);
            Outcome {
                role,
                observed,
                slowest: ours.slowest,
            }
        })
        .collect();
    before.await_return(row.name, |now| {
        (now.threads, now.deadlines, now.descriptors)
    });
    outcomes
}

/// Plays rows over a link that is cut once everybody has shaken hands, all rows and roles at once.
pub fn play_vanished(rows: &'static [Row], link: &Link) -> Vec<(&'static Row, Vec<Outcome>)> {
    let before = HubState::IDLE;
    before.await_return("vanished", |now| now);
    let mut playing = Vec::new();
    for row in rows {
        for role in ROLES.into_iter().filter(|role| (row.roles)(*role)) {
            let (near, far) = link.connection();
            let facing = format!("{} {}", row.name, role.name());
            let (mut ours, mut peer) = ends_over(near, far, role, row.peers, &facing);
            let shaken = role.conduct != Conduct::Plain;
            let peer = thread::spawn(move || {
                if shaken {
                    assert!(peer.handshake());
                    peer.await_go();
                }
                peer
            });
            let near = Builder::new().name(facing).spawn(move || {
                if shaken {
                    ours.tls().do_handshake().unwrap();
                    ours.go();
                }
                ours.await_ready();
                (row.ours)(&mut ours);
                ours
            });
            playing.push((row, role, near.unwrap(), peer.join().unwrap()));
        }
    }
    // What was sent last is acknowledged.
    thread::sleep(Duration::from_millis(500));
    link.cut();
    playing.iter().for_each(|(.., peer)| peer.ready());
    let mut outcomes: Vec<(&'static Row, Vec<Outcome>)> =
        rows.iter().map(|row| (row, Vec::new())).collect();
    let mut kept = Vec::new();
    for (row, role, near, peer) in playing {
        let mut ours = near.join().unwrap();
        let outcome = Outcome {
            role,
            observed: std::mem::take(&mut ours.log),
            slowest: ours.slowest,
        };
        let (_, of_row) = outcomes
            .iter_mut()
            .find(|(played, _)| played.name == row.name)
            .unwrap();
        of_row.push(outcome);
        kept.push((ours, peer));
    }
    before.await_return("vanished", |now| (now.threads, now.deadlines));
    await_quiet("vanished");
    drop(kept);
    before.await_return("vanished", |now| now);
    outcomes
}

/// Fails unless there soon is an interval in which this process uses hardly any CPU: what has just ended may take some.
fn await_quiet(what: &str) {
    let limit = Duration::from_millis(100);
    let mut used = Duration::MAX;
    for _ in 0..10 {
        used = cpu_used_in(limit);
        if used < limit / 4 {
            return;
        }
    }
    panic!("{what}: {used:?} of CPU in {limit:?} of nothing to do");
}

/// The processor time of this process over an interval, in which this thread sleeps.
pub fn cpu_used_in(interval: Duration) -> Duration {
    let began = cpu_time();
    thread::sleep(interval);
    cpu_time() - began
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// How much there is in the hubs, the ticking crowd aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubState {
    threads: usize,
    deadlines: usize,
    descriptors: usize,
}

const TICKER: &str = "ticker";

impl HubState {
    /// What every row begins with and leaves behind.
    pub const IDLE: HubState = HubState {
        threads: 0,
        deadlines: 0,
        descriptors: 0,
    };

    pub fn now() -> HubState {
        let report = greenhub::report();
        let others =
            || (report.threads.iter()).filter(|thread| thread.name.as_deref() != Some(TICKER));
        HubState {
            threads: others().count(),
            deadlines: others().filter(|thread| thread.time_left.is_some()).count(),
            descriptors: report.hubs.iter().map(|hub| hub.descriptors).sum(),
        }
    }

    /// Waits until this much of it is as it was.
    pub fn await_return<T: PartialEq>(self, what: &str, of: impl Fn(HubState) -> T) {
        let began = Instant::now();
        while of(HubState::now()) != of(self) {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{what}: {self:?} became {:?}\n{}",
                HubState::now(),
                greenhub::report()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Runs `body` beside this many green threads that tick.
pub fn beside<T>(count: usize, body: impl FnOnce() -> T) -> T {
    let crowd: Vec<_> = (0..count)
        .map(|n| {
            let ticker = Builder::new().name(TICKER.to_owned()).spawn(move || {
                loop {
                    sleep(Duration::from_millis(100 + n as u64 % 50));
                }
            });
            ticker.unwrap()
        })
        .collect();
    let result = body();
    for ticker in &crowd {
        ticker.kill().unwrap();
    }
    for ticker in crowd {
        let _ = ticker.join();
    }
    result
}
