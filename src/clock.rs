//! The monotonic clock, as nanoseconds in one word, so that a deadline fits an atomic.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A point in time: nanoseconds since the process first asked. Ordered, and
/// [`Nanos::NEVER`] is later than any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nanos(pub(crate) u64);

fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

/// The coarse clock's reading at our origin; both are CLOCK_MONOTONIC.
fn coarse_origin() -> u64 {
    static ORIGIN: OnceLock<u64> = OnceLock::new();
    *ORIGIN.get_or_init(|| crate::sys::coarse_clock().saturating_sub(Nanos::now().0))
}

impl Nanos {
    /// The deadline of a wait without end.
    pub(crate) const NEVER: Nanos = Nanos(u64::MAX);

    /// The last moment that ever is: later than any process lives, and yet a moment.
    pub(crate) const LAST: Nanos = Nanos(u64::MAX - 1);

    pub(crate) fn now() -> Nanos {
        Nanos::from(Instant::now())
    }

    /// Now, to within a few milliseconds, at a quarter of the cost of
    /// [`now`](Nanos::now).
    pub(crate) fn coarse() -> Nanos {
        let spec = crate::sys::coarse_clock();
        Nanos(spec.saturating_sub(coarse_origin()))
    }

    /// `limit` from now; a limit too long to be told apart from for ever is
    /// for ever.
    pub(crate) fn after(limit: Duration) -> Nanos {
        u64::try_from(limit.as_nanos())
            .ok()
            .and_then(|nanos| Nanos::now().0.checked_add(nanos))
            .map_or(Nanos::NEVER, Nanos)
    }

    /// A deadline from an optional one.
    pub(crate) fn deadline(at: Option<Instant>) -> Nanos {
        at.map_or(Nanos::NEVER, Nanos::from)
    }

    pub(crate) fn is_never(self) -> bool {
        self == Nanos::NEVER
    }

    /// Time from `self` to `later`, zero if it has passed.
    pub(crate) fn until(self, later: Nanos) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }

    /// What is left from now, `None` for never: the time-out of a system call.
    pub(crate) fn left(self) -> Option<Duration> {
        (!self.is_never()).then(|| Nanos::now().until(self))
    }
}

impl From<Instant> for Nanos {
    fn from(at: Instant) -> Nanos {
        let nanos = at.saturating_duration_since(origin()).as_nanos();
        Nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(Nanos::LAST)
    }
}
