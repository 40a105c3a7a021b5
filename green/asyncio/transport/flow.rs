//! The water marks of what waits to be sent.

use std::io;

/// asyncio's default.
const HIGH: usize = 64 * 1024;

/// Above `high` a writer should stop; at `low` it may go on.
#[derive(Debug)]
pub(in super::super) struct Flow {
    high: usize,
    low: usize,
    /// Whether the high mark has been passed, and the low one not been reached since.
    paused: bool,
    /// What the protocol has been told.
    told: bool,
}

impl Default for Flow {
    fn default() -> Flow {
        Flow {
            high: HIGH,
            low: HIGH / 4,
            paused: false,
            told: false,
        }
    }
}

impl Flow {
    pub(in super::super) fn limits(&self) -> (usize, usize) {
        (self.low, self.high)
    }

    /// asyncio's rules: of one mark the other follows by a factor of four.
    pub(in super::super) fn set_limits(
        &mut self,
        high: Option<usize>,
        low: Option<usize>,
    ) -> io::Result<()> {
        let high = high.unwrap_or_else(|| low.map_or(HIGH, |low| low.saturating_mul(4)));
        let low = low.unwrap_or(high / 4);
        if low > high {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the low mark ({low}) is above the high one ({high})"),
            ));
        }
        (self.high, self.low) = (high, low);
        Ok(())
    }

    /// Takes note of how much waits; whether a mark was passed.
    pub(in super::super) fn update(&mut self, size: usize) -> bool {
        let paused = match self.paused {
            true => size > self.low,
            false => size > self.high,
        };
        std::mem::replace(&mut self.paused, paused) != paused
    }

    pub(in super::super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// What the protocol has to be told, if it does not know it yet.
    pub(in super::super) fn news(&mut self) -> Option<bool> {
        (std::mem::replace(&mut self.told, self.paused) != self.paused).then_some(self.paused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_asyncio_s() {
        let mut flow = Flow::default();
        assert_eq!(flow.limits(), (16 * 1024, 64 * 1024));
        flow.set_limits(Some(100), None).unwrap();
        assert_eq!(flow.limits(), (25, 100));
        flow.set_limits(None, Some(10)).unwrap();
        assert_eq!(flow.limits(), (10, 40));
        flow.set_limits(None, None).unwrap();
        assert_eq!(flow.limits(), (16 * 1024, 64 * 1024));
        let error = flow.set_limits(Some(1), Some(2)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(flow.limits(), (16 * 1024, 64 * 1024));
    }

    #[test]
    fn a_writer_pauses_above_the_high_mark_and_resumes_at_the_low_one() {
        let mut flow = Flow::default();
        flow.set_limits(Some(10), Some(4)).unwrap();
        assert!(!flow.update(10));
        assert!(flow.update(11) && flow.is_paused());
        assert_eq!((flow.news(), flow.news()), (Some(true), None));
        assert!(!flow.update(5) && flow.is_paused());
        assert!(flow.update(4) && !flow.is_paused());
        assert_eq!(flow.news(), Some(false));
        // There and back before anybody could be told.
        flow.update(11);
        flow.update(0);
        assert_eq!(flow.news(), None);
    }

    #[test]
    fn a_high_mark_of_zero_pauses_at_the_first_byte() {
        let mut flow = Flow::default();
        flow.set_limits(Some(0), None).unwrap();
        assert!(!flow.update(0));
        assert!(flow.update(1));
        assert!(flow.update(0));
    }
}
