//! A small reproducible sequence of numbers, by xorshift.

/// The state; never zero.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    /// A sequence of its own for each number.
    pub fn of(seed: u64, number: u64) -> Random {
        Random::new(seed ^ (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// `GREEN_SEED`, or another number each time.
pub fn seed() -> u64 {
    let seed = std::env::var("GREEN_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    seed.unwrap_or_else(|| u64::from(std::process::id()) * 2_654_435_761 + 1)
}
