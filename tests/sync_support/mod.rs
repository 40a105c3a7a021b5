//! How the tests of `green::sync` and `green::channel` run: bounded in time, on the first hub or on any thread.

use std::time::Duration;

use greenhub::green_thread::{self, Builder, JoinHandle};

use crate::util;

const LIMIT: Duration = Duration::from_secs(60);

pub fn bounded(name: &str, body: impl FnOnce() + Send + 'static) {
    util::bounded(name, LIMIT, body);
}

/// Starts a green thread on the first hub, so that several share it.
pub fn on_hub<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().hub(0).spawn(body).unwrap()
}

/// Runs the body as a green thread of the first hub.
pub fn green(name: &str, body: impl FnOnce() + Send + 'static) {
    bounded(name, || {
        on_hub(body)
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Lets the others of this hub run until they have nothing more to do.
pub fn settle() {
    for _ in 0..10 {
        green_thread::yield_now();
    }
}

/// Xorshift.
pub struct Random(u32);

impl Random {
    pub fn new(seed: u32, number: u32) -> Random {
        Random(seed.wrapping_mul(31) ^ (number + 1).wrapping_mul(2_654_435_761) | 1)
    }

    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}
