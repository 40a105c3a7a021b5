//! A sequence of numbers that its seed decides, by splitmix64.

use std::ops::Range;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `n`, which is not 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        // The high half of the product: no division, and nearly even.
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// Whether something happens whose chance is this, from 0 to 1.
    pub(crate) fn happens(&mut self, chance: f64) -> bool {
        // One number each time, so that a chance that is changed changes little else.
        let number = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        number < chance
    }

    /// Nanoseconds within the range, in whole microseconds.
    pub(crate) fn within(&mut self, range: &Range<Duration>) -> u64 {
        let (start, end) = (range.start.as_micros() as u64, range.end.as_micros() as u64);
        (start + self.below(end.saturating_sub(start).max(1))) * 1_000
    }
}
