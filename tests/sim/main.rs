//! Programs in a simulation: what it promises, and the trials that it makes possible.
//!
//! ```text
//! cargo test --features sim,green-std/sim --test sim
//! GREEN_TRIALS=full cargo test --release --features sim,green-std/sim --test sim -- --nocapture
//! ```
//!
//! A trial runs 200 seeds, 10,000 in full. `GREEN_SEED=n` runs that one alone.

use std::time::Duration;

mod futures;
mod net;
mod partitions;
mod programs;
mod promises;
mod sync;

use green::sim::{Faults, Simulation};
use test_support::random::Random;

/// Runs `program` under many seeds, with random numbers of its own; a seed whose run fails is printed.
fn trial(name: &str, program: fn(Random)) {
    trial_on(name, Faults::mild(), program);
}

/// As [`trial`], on a network that does this.
fn trial_on(name: &str, faults: Faults, program: fn(Random)) {
    let only = std::env::var("GREEN_SEED").ok();
    let full = std::env::var("GREEN_TRIALS").is_ok_and(|trials| trials == "full");
    let seeds = match only {
        Some(seed) => {
            let seed = seed.parse().expect("a number in GREEN_SEED");
            seed..seed + 1
        }
        None => 0..if full { 10_000 } else { 200 },
    };
    let began = std::time::Instant::now();
    let limit = Duration::from_secs(if full { 3600 } else { 600 });
    test_support::bounded(name, limit, || {
        for seed in seeds.clone() {
            let simulation = Simulation::new(seed).faults(faults.clone());
            let outcome = simulation.run(move || program(Random::of(seed, 0)));
            if let Err(panic) = outcome.result {
                eprintln!("{:.60}{name}: seed {seed} fails", outcome.trace);
                if let Some(report) = outcome.deadlock {
                    eprintln!("a deadlock\n{report}");
                }
                std::panic::resume_unwind(panic);
            }
        }
    });
    println!("{name}: seeds {seeds:?}, {:.1?}", began.elapsed());
}
