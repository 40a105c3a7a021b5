//! Second act: green threads by the hundred thousand, each with a stack of its own, all asleep and
//! all woken.

use std::sync::Arc;
use std::time::Instant;

use green::thread::{self, Builder, JoinHandle};

use crate::machine;
use crate::screen::{bytes, count, time};
use crate::stage::{Failure, Outcome, Progress, Stage};

/// Memory of one that is parked, rounded up; the tour takes a quarter of what is free at most.
const BYTES_EACH: u64 = 8 * 1024;

pub fn play(stage: &mut Stage, wanted: usize) {
    stage.act(
        "Sleepers",
        "Green threads with a stack each that park until somebody wakes them.",
    );
    let fit = machine::available_bytes().unwrap_or(u64::MAX) / 4 / BYTES_EACH;
    let size = wanted.min(usize::try_from(fit).unwrap_or(usize::MAX));
    let name = format!("{} parked, woken and joined", count(size as u64));
    stage.check(&name, move |progress| crowd(size, progress));
}

fn crowd(size: usize, progress: &Arc<Progress>) -> Outcome {
    let resident = machine::resident_bytes();
    let begun = Instant::now();
    let sleepers = asleep(size, progress);
    let started = begun.elapsed();
    let each = machine::resident_bytes().saturating_sub(resident) / sleepers.len().max(1) as u64;
    let short = size - sleepers.len();
    let begun = Instant::now();
    for sleeper in &sleepers {
        sleeper.thread().unpark();
    }
    let mut sum = 0u64;
    let all = sleepers.len() as u64;
    for sleeper in sleepers {
        sum += sleeper.join().map_err(|_| "a sleeper panicked")?;
    }
    if sum != (0..all).sum::<u64>() {
        return Err(Failure::from("a sleeper said something else"));
    }
    let note = match short {
        0 => String::new(),
        short => format!(", {} had no room", count(short as u64)),
    };
    Ok(format!(
        "{} of memory each, started in {}, over in {}{note}",
        bytes(each),
        time(started),
        time(begun.elapsed()),
    ))
}

/// Starts them, as many as there is room for, and waits until all have run.
fn asleep(size: usize, progress: &Arc<Progress>) -> Vec<JoinHandle<u64>> {
    let mut sleepers = Vec::with_capacity(size);
    for number in 0..size as u64 {
        let progress = progress.clone();
        let sleeper = Builder::new().spawn(move || {
            progress.add(1);
            thread::park();
            number
        });
        match sleeper {
            Ok(sleeper) => sleepers.push(sleeper),
            // A kernel before 6.13 has room for some 30,000.
            Err(_) => break,
        }
    }
    while progress.done() < sleepers.len() as u64 {
        thread::yield_now();
    }
    sleepers
}
