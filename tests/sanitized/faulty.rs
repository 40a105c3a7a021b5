//! Faults that a sanitizer must report, by name; otherwise its silence about the tests says nothing.
#![expect(unsafe_code, reason = "the faults")]

use std::env;
use std::hint::black_box;

use green::thread::{spawn, yield_now};

fn main() {
    match env::args().nth(1).as_deref() {
        Some("race") => race(),
        Some("use-after-free") => use_after_free(),
        _ => panic!("race or use-after-free"),
    }
}

/// None on one hub: green threads of one take turns.
fn race() {
    static mut COUNT: u64 = 0;
    let racers: Vec<_> = (0..8)
        .map(|_| {
            spawn(|| {
                for _ in 0..100 {
                    // SAFETY: none, on several hubs; a torn count harms nobody here.
                    unsafe { COUNT += 1 };
                    yield_now();
                }
            })
        })
        .collect();
    for racer in racers {
        racer.join().unwrap();
    }
}

/// On a green thread, after others have run.
fn use_after_free() {
    spawn(|| {
        let freed = {
            let value = Box::new(7_u64);
            &raw const *value
        };
        spawn(yield_now).join().unwrap();
        // SAFETY: none; the sanitizer ends the program here.
        black_box(unsafe { freed.read() });
    })
    .join()
    .unwrap();
}
