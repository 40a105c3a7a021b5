//! Epilogue: what was opened has been given back.

use std::time::{Duration, Instant};

use green::thread;

use crate::machine;
use crate::screen::bytes;
use crate::stage::{Outcome, Stage};

/// What the runtime keeps for itself once it has started: a poller and a waker for each hub.
const OWN_DESCRIPTORS_MAX: usize = 64;
/// Time for the last threads to find that their peers have gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// `descriptors_before`: how many were open before the first act.
pub fn play(stage: &mut Stage, descriptors_before: usize) {
    stage.act(
        "Epilogue",
        "Everybody has gone; what have they left behind?",
    );
    stage.check("green threads and descriptors are given back", move |_| {
        all_is_back(descriptors_before)
    });
}

fn all_is_back(descriptors_before: usize) -> Outcome {
    let begun = Instant::now();
    loop {
        // The one that counts is still there.
        let threads = green::report().threads.len() - 1;
        let descriptors = machine::open_descriptors();
        if threads == 0 && descriptors <= descriptors_before + OWN_DESCRIPTORS_MAX {
            let resident = bytes(machine::resident_bytes());
            return Ok(format!(
                "all of them; {descriptors} descriptors open, {resident} resident"
            ));
        }
        if begun.elapsed() > PATIENCE {
            let left = format!("{threads} green threads and {descriptors} descriptors are left");
            return Err(left.into());
        }
        thread::sleep(Duration::from_millis(20));
    }
}
