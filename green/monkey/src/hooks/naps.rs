//! Naps that grow, for what no event announces.

use std::time::Duration;

use greenhub::Deadline;
use greenhub::foreign;

use crate::answer::{Answer, code};

/// Between two tries.
const SHORTEST_NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(16);

/// How long the next one is.
pub(super) struct Naps(Duration);

impl Naps {
    pub(super) const fn new() -> Naps {
        Naps(SHORTEST_NAP)
    }

    fn next(&mut self, deadline: Deadline) -> Option<Deadline> {
        if deadline.has_passed() {
            return None;
        }
        let until = Deadline::after(self.0);
        self.0 = (2 * self.0).min(LONGEST_NAP);
        Some(until.min(deadline))
    }

    /// False if `deadline` has passed.
    pub(super) fn nap(&mut self, deadline: Deadline) -> Answer<bool> {
        match self.next(deadline) {
            None => Ok(false),
            Some(until) => foreign::sleep_until(until).map(|()| true).map_err(code),
        }
    }

    /// As [`nap`](Naps::nap), for those who know no error: neither a kill nor a limit is told.
    pub(super) fn nap_uncut(&mut self, what: &'static str, deadline: Deadline) -> bool {
        let next = self.next(deadline);
        if let Some(until) = next {
            foreign::park(what, until, |_| true, || ());
        }
        next.is_some()
    }
}
