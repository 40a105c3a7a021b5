//! Who waits costs nothing.

use std::sync::Arc;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::green_thread::{park, sleep, spawn};
use greenhub::report;
use greenhub::source::{Direction, Source};

use crate::{MILLISECOND, pair, receive, until, waiting};
use test_support::child::alone;

/// CPU time of all threads of this process, in the scheduler's nanoseconds.
fn cpu_time() -> Duration {
    let of_thread = |text: &str| text.split(' ').next().unwrap().parse::<u64>().unwrap();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanos = tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("schedstat")).ok())
        .map(|text| of_thread(&text))
        .sum();
    Duration::from_nanos(nanos)
}

#[test]
fn a_blocked_writer_and_an_idle_reader_cost_nothing() {
    alone(
        "idle::a_blocked_writer_and_an_idle_reader_cost_nothing",
        &[],
        || {
            let send = |source: &Source| -> std::io::Result<()> {
                loop {
                    source.retry(Direction::Write, Deadline::NEVER, |fd| {
                        socket2::SockRef::from(&fd).send(&[0; 4096])
                    })?;
                }
            };
            let (full, _peer) = pair();
            let (idle, _other) = pair();
            let (full_os, _peer_os) = pair();
            let _writer = spawn(move || send(&full));
            let _reader = spawn(move || receive(&idle));
            let _on_os_thread = std::thread::spawn(move || send(&full_os));
            until(|| waiting() == 2);
            sleep(20 * MILLISECOND);
            let spent = || {
                let before = cpu_time();
                std::thread::sleep(400 * MILLISECOND);
                cpu_time() - before
            };
            // On a slow machine the look at all threads costs something itself, and what was begun may not be over; who spins
            // does so in each window.
            let costs_nothing = (0..4).any(|_| spent() < 40 * MILLISECOND);
            assert!(costs_nothing, "40 ms and more in each of four times 0.4 s");
        },
    )
    .well();
}

#[test]
#[cfg_attr(
    green_sanitize = "thread",
    ignore = "a thread of the sanitizer's own wakes up"
)]
fn a_parked_crowd_costs_no_wake_ups() {
    alone("idle::a_parked_crowd_costs_no_wake_ups", &[], || {
        let (source, _peer) = pair();
        let source = Arc::new(source);
        for n in 0..3000 {
            let source = source.clone();
            drop(spawn(move || match n % 3 {
                0 => sleep(Duration::from_secs(3600)),
                1 => park(),
                _ => drop(receive(&source)),
            }));
        }
        until(|| waiting() == 3000);
        // This OS thread is not a hub: it sleeps for real.
        let switches = || {
            let own = std::fs::read_link("/proc/thread-self").unwrap();
            let own = own.file_name().unwrap().to_owned();
            let tasks = std::fs::read_dir("/proc/self/task").unwrap();
            let others = tasks
                .map(Result::unwrap)
                .filter(|task| task.file_name() != own);
            let mut switches: Vec<(String, u64)> = others
                .map(|task| {
                    let status = std::fs::read_to_string(task.path().join("status")).unwrap();
                    let line = status
                        .lines()
                        .find(|line| line.starts_with("voluntary_ctxt"));
                    let count = line.unwrap().split('\t').nth(1).unwrap().parse().unwrap();
                    let name = std::fs::read_to_string(task.path().join("comm")).unwrap();
                    (name, count)
                })
                .collect();
            switches.sort();
            switches
        };
        // On a busy machine a hub may be late to its poll; a crowd that costs wake-ups costs them in each window.
        let costs_nothing = (0..4).any(|_| {
            std::thread::sleep(50 * MILLISECOND);
            let (before, turns) = (switches(), report());
            std::thread::sleep(500 * MILLISECOND);
            let mut hubs = turns.hubs.iter().zip(report().hubs);
            switches() == before && hubs.all(|(before, after)| before.turns == after.turns)
        });
        assert!(costs_nothing, "wake-ups in each of four windows");
    })
    .well();
}
