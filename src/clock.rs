//! The monotonic clock, as nanoseconds in one word, so that a deadline fits an atomic.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::sys;

/// A point in time: CLOCK_MONOTONIC's nanoseconds. Ordered, and
/// [`Nanos::NEVER`] is later than any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nanos(pub(crate) u64);

/// A moment on both clocks, which are one (std's `Instant` is CLOCK_MONOTONIC, but
/// does not give its number away).
struct Origin {
    instant: Instant,
    nanos: u64,
}

fn origin() -> &'static Origin {
    /// An OS thread that loses its processor between two readings does so once.
    const TRIES: u32 = 4;
    static ORIGIN: OnceLock<Origin> = OnceLock::new();
    ORIGIN.get_or_init(|| {
        let readings = (0..TRIES).map(|_| {
            let before = sys::clock();
            let instant = Instant::now();
            let nanos = sys::clock();
            (nanos - before, Origin { instant, nanos })
        });
        // The later reading: so a deadline that is converted is never early.
        let (_, closest) = readings
            .min_by_key(|(apart, _)| *apart)
            .expect("there is a first one");
        closest
    })
}

impl Nanos {
    /// The deadline of a wait without end.
    pub(crate) const NEVER: Nanos = Nanos(u64::MAX);

    /// The last moment that ever is: later than any process lives, and yet a moment.
    pub(crate) const LAST: Nanos = Nanos(u64::MAX - 1);

    #[inline]
    pub(crate) fn now() -> Nanos {
        Nanos(sys::clock())
    }

    /// Now, to within a few milliseconds, at a quarter of the cost of
    /// [`now`](Nanos::now).
    pub(crate) fn coarse() -> Nanos {
        Nanos(sys::coarse_clock())
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
        let Origin { instant, nanos } = origin();
        let apart = |later: Instant, earlier: Instant| {
            let nanos = later.duration_since(earlier).as_nanos();
            u64::try_from(nanos).unwrap_or(u64::MAX)
        };
        let nanos = match at >= *instant {
            true => nanos.saturating_add(apart(at, *instant)),
            false => nanos.saturating_sub(apart(*instant, at)),
        };
        Nanos(nanos).min(Nanos::LAST)
    }
}
