//! The monotonic clock, as nanoseconds in one word, so that a moment fits an atomic.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::sys;

/// A moment, in nanoseconds of CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// Before any other moment.
    pub(crate) const LONG_AGO: Nanos = Nanos(0);

    #[inline]
    pub(crate) fn now() -> Nanos {
        Nanos(sys::clock())
    }

    /// Now, to within a few milliseconds, at a quarter of the cost of
    /// [`now`](Nanos::now).
    pub(crate) fn coarse() -> Nanos {
        Nanos(sys::coarse_clock())
    }

    /// The moment that is `time` later; the last possible one, if that is too late.
    pub(crate) fn later_by(self, time: Duration) -> Nanos {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Nanos(self.0.saturating_add(nanos))
    }

    /// Time from `self` to `later`, zero if it has passed.
    pub(crate) fn until(self, later: Nanos) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
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
        Nanos(nanos)
    }
}
