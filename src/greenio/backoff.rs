//! How long `accept` pauses when there is no room for another connection.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const FIRST_PAUSE_MS: u32 = 5;
const LONGEST_PAUSE_MS: u32 = 1000;

/// How long an `accept` pauses if it finds no descriptor or memory free.
///
/// Such a failure leaves the connection in the queue, so the usual loop, which
/// reports the error and accepts again, would spin. The pause doubles from 5 ms
/// to 1 s and ends with the first success.
#[derive(Debug)]
pub(super) struct Backoff(AtomicU32);

impl Default for Backoff {
    fn default() -> Self {
        Backoff(AtomicU32::new(FIRST_PAUSE_MS))
    }
}

impl Backoff {
    pub(super) fn reset(&self) {
        // Looked at first, so that the usual success writes nothing shared.
        if self.0.load(Ordering::Relaxed) != FIRST_PAUSE_MS {
            self.0.store(FIRST_PAUSE_MS, Ordering::Relaxed);
        }
    }

    pub(super) fn next(&self) -> Duration {
        let pause_ms = self.0.load(Ordering::Relaxed);
        let doubled = (pause_ms * 2).min(LONGEST_PAUSE_MS);
        self.0.store(doubled, Ordering::Relaxed);
        Duration::from_millis(pause_ms.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_second_and_a_success_begins_anew() {
        let backoff = Backoff::default();
        let pauses: Vec<_> = (0..10).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next().as_millis(), 5);
        assert_eq!(backoff.next().as_millis(), 10);
    }
}
