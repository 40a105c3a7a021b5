//! When a wait is over, in one word: the type that every wait takes, and the only place where a limit becomes a
//! deadline.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::Nanos;

/// When a wait is to be over, if what it waits for has not come: at a moment of the monotonic clock, or never.
///
/// A later deadline is greater, and [`NEVER`](Deadline::NEVER) is the greatest: if two hold, their `min` is the one
/// that counts.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use green::Deadline;
/// use green::wait_queue::{WaitQueue, Wake};
///
/// let queue = WaitQueue::new();
/// let soon = Deadline::after(Duration::from_millis(1)).min(Deadline::NEVER);
/// assert_eq!(queue.wait("nobody", soon, || true), Wake::TimedOut);
/// assert!(soon.has_passed());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(Nanos);

impl Deadline {
    /// Waits as long as it takes.
    pub const NEVER: Deadline = Deadline(Nanos(u64::MAX));

    /// Does not wait at all: a call with it is tried, and fails where it would wait.
    pub const NOW: Deadline = Deadline(Nanos::LONG_AGO);

    /// `limit` from now on. A limit that is too long for the clock is [`NEVER`](Deadline::NEVER).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::Deadline;
    ///
    /// assert!(!Deadline::after(Duration::from_secs(60)).has_passed());
    /// assert!(Deadline::after(Duration::MAX).is_never());
    /// ```
    #[inline]
    pub fn after(limit: Duration) -> Deadline {
        Deadline::counted_from(Nanos::now(), limit)
    }

    /// `limit` from now on; [`NEVER`](Deadline::NEVER) if there is none.
    ///
    /// ```
    /// use green::Deadline;
    ///
    /// assert_eq!(Deadline::within(None), Deadline::NEVER);
    /// ```
    #[inline]
    pub fn within(limit: Option<Duration>) -> Deadline {
        limit.map_or(Deadline::NEVER, Deadline::after)
    }

    /// `limit` after `began`.
    pub(crate) fn counted_from(began: Nanos, limit: Duration) -> Deadline {
        Deadline(began.later_by(limit))
    }

    /// At `moment`.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// use green::Deadline;
    ///
    /// assert!(Deadline::at(Instant::now()) <= Deadline::at(Instant::now()));
    /// ```
    pub fn at(moment: Instant) -> Deadline {
        /// A moment that no process lives to see, but still a moment, not "never".
        const LAST: Nanos = Nanos(u64::MAX - 1);
        Nanos::from(moment).min(LAST).into()
    }

    /// When it is over; `None` if that is never.
    #[cfg(feature = "sim")]
    pub(crate) fn moment(self) -> Option<Nanos> {
        (!self.is_never()).then_some(self.0)
    }

    /// Whether it is [`NEVER`](Deadline::NEVER).
    #[inline]
    pub fn is_never(self) -> bool {
        self == Deadline::NEVER
    }

    /// Whether it is over.
    ///
    /// ```
    /// use green::Deadline;
    ///
    /// assert!(Deadline::NOW.has_passed());
    /// assert!(!Deadline::NEVER.has_passed());
    /// ```
    #[inline]
    pub fn has_passed(self) -> bool {
        !self.is_never() && (self == Deadline::NOW || self.has_passed_at(Nanos::now()))
    }

    /// Whether it is over at `now`.
    #[inline]
    pub(crate) fn has_passed_at(self, now: Nanos) -> bool {
        self.0 <= now
    }

    /// How long it is from now until then, zero once it has passed; `None` for [`NEVER`](Deadline::NEVER).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::Deadline;
    ///
    /// let minute = Duration::from_secs(60);
    /// assert!(Deadline::after(minute).remaining().unwrap() <= minute);
    /// assert_eq!(Deadline::NOW.remaining(), Some(Duration::ZERO));
    /// assert_eq!(Deadline::NEVER.remaining(), None);
    /// ```
    pub fn remaining(self) -> Option<Duration> {
        self.remaining_at(Nanos::now())
    }

    /// As [`remaining`](Deadline::remaining), from `now` on.
    pub(crate) fn remaining_at(self, now: Nanos) -> Option<Duration> {
        (!self.is_never()).then(|| now.until(self.0))
    }
}

impl From<Nanos> for Deadline {
    #[inline]
    fn from(moment: Nanos) -> Deadline {
        Deadline(moment)
    }
}

/// A deadline that its owner changes while others look at it. It guards nothing.
#[derive(Debug)]
pub(crate) struct AtomicDeadline(AtomicU64);

impl AtomicDeadline {
    pub(crate) const fn new(deadline: Deadline) -> AtomicDeadline {
        AtomicDeadline(AtomicU64::new(deadline.0.0))
    }

    #[inline]
    pub(crate) fn get(&self) -> Deadline {
        Deadline(Nanos(self.0.load(Ordering::Relaxed)))
    }

    #[inline]
    pub(crate) fn set(&self, deadline: Deadline) {
        self.0.store(deadline.0.0, Ordering::Relaxed);
    }
}

/// How long it still is.
impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.remaining()) {
            (Deadline::NOW, _) => f.write_str("Deadline(now)"),
            (_, Some(left)) => write!(f, "Deadline(in {left:?})"),
            (_, None) => f.write_str("Deadline(never)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_of_several_deadlines_is_the_least() {
        let (long, short) = (Duration::from_secs(60), Duration::from_secs(1));
        let in_order = [
            Deadline::NOW,
            Deadline::at(Instant::now()),
            Deadline::after(short),
            Deadline::after(long),
            Deadline::at(Instant::now() + 2 * long),
            Deadline::NEVER,
        ];
        assert!(
            in_order.is_sorted_by(|sooner, later| sooner < later),
            "{in_order:?}"
        );
    }

    #[test]
    fn a_deadline_has_passed_from_its_moment_on() {
        let now = Nanos::now();
        let [sooner, later] = [-1, 1].map(|by| Deadline(Nanos(now.0.wrapping_add_signed(by))));
        assert!(sooner.has_passed_at(now) && Deadline(now).has_passed_at(now));
        assert!(!later.has_passed_at(now) && !Deadline::NEVER.has_passed_at(now));

        let minute = Duration::from_secs(60);
        assert!(Deadline(now).has_passed() && Deadline::NOW.has_passed());
        assert!(!Deadline::after(minute).has_passed() && !Deadline::NEVER.has_passed());
        assert_eq!(Deadline(now).remaining_at(now), Some(Duration::ZERO));
        assert_eq!(
            Deadline::counted_from(now, minute).remaining_at(now),
            Some(minute)
        );
        assert_eq!(Deadline::NEVER.remaining_at(now), None);
    }

    #[test]
    fn a_moment_is_never_taken_for_for_ever() {
        let centuries = Duration::from_secs(3_000_000_000);
        let far =
            Instant::now() + centuries + centuries + centuries + centuries + centuries + centuries;
        let far = far + centuries;
        assert!(!Deadline::at(far).is_never());
        assert!(Deadline::after(Duration::MAX).is_never());
    }
}
