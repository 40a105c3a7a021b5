//! States that must not last.

use std::time::{Duration, Instant};

/// A state that must not last.
#[derive(Debug)]
pub(super) struct Same<T> {
    since: Option<(T, Instant)>,
}

impl<T> Default for Same<T> {
    fn default() -> Same<T> {
        Same { since: None }
    }
}

impl<T: PartialEq> Same<T> {
    /// Whether it is the same as it was all the time that the limit allows, as far as it was looked at.
    pub(super) fn lasts(
        &mut self,
        state: Option<T>,
        limit: Option<Duration>,
        now: Instant,
    ) -> bool {
        let before = self.since.take();
        self.since = match (state, before) {
            (None, _) => None,
            (Some(state), Some((before, since))) if state == before => Some((before, since)),
            (Some(state), _) => Some((state, now)),
        };
        let lasted = self.since.as_ref().map(|(_, since)| now - *since);
        lasted
            .zip(limit)
            .is_some_and(|(lasted, limit)| lasted >= limit)
    }
}
