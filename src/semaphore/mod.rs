//! A counting semaphore: permits are handed out first come, first served.

use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::wait_queue::{WaitQueue, Wake, give_way};

mod permit;

pub use permit::Permit;

/// The most permits that a semaphore can have.
pub const MAX_PERMITS: usize = isize::MAX as usize >> 3;

/// Permits that green threads and OS threads share.
///
/// A permit that is given back goes straight to the thread that has waited
/// longest, so nobody is overtaken, and a waiter that timed out or was killed
/// takes none with it. [`release`](Semaphore::release) never waits: it only
/// makes the waiter ready.
///
/// A permit is either a count, taken and given back by hand, or a guard
/// ([`permit`](Semaphore::permit)) that gives it back when dropped.
///
/// ```
/// use green::Deadline;
/// use green::semaphore::Semaphore;
///
/// let semaphore = Semaphore::new(1);
/// assert!(semaphore.try_acquire());
/// assert!(!semaphore.try_acquire());
/// semaphore.release();
/// assert!(semaphore.acquire(Deadline::NEVER));
/// ```
#[derive(Debug)]
pub struct Semaphore {
    what: &'static str,
    /// Below zero: so many are owed to [`remove_permits`](Semaphore::remove_permits).
    permits: AtomicIsize,
    queue: WaitQueue,
}

impl Semaphore {
    /// A semaphore with this many permits.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::semaphore::Semaphore;
    ///
    /// static AT_ONCE: Semaphore = Semaphore::new(2);
    ///
    /// assert!(AT_ONCE.try_acquire() && AT_ONCE.try_acquire());
    /// assert!(!AT_ONCE.acquire_timeout(Duration::from_millis(1)));
    /// AT_ONCE.release();
    /// assert_eq!(AT_ONCE.available(), 1);
    /// ```
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_PERMITS`].
    pub const fn new(permits: usize) -> Semaphore {
        Semaphore::named("semaphore", permits)
    }

    /// As [`new`](Semaphore::new), with the name that a report shows.
    ///
    /// ```
    /// use green::semaphore::Semaphore;
    ///
    /// // `threads` in a backdoor, and `report`, say "waits for printer".
    /// static PRINTER: Semaphore = Semaphore::named("printer", 1);
    ///
    /// assert!(PRINTER.try_acquire());
    /// ```
    pub const fn named(what: &'static str, permits: usize) -> Semaphore {
        assert!(permits <= MAX_PERMITS, "too many permits for a semaphore");
        Semaphore {
            what,
            permits: AtomicIsize::new(permits as isize),
            queue: WaitQueue::new(),
        }
    }

    /// Takes a permit if one is free.
    ///
    /// ```
    /// use green::semaphore::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// assert!(semaphore.try_acquire());
    /// assert!(!semaphore.try_acquire());
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.permits
            .try_update(Ordering::Acquire, Ordering::Relaxed, |free| {
                (free > 0).then(|| free - 1)
            })
            .is_ok()
    }

    /// Takes a permit, and parks until there is one or `deadline` passes; false
    /// is the latter.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::Deadline;
    /// use green::semaphore::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// assert!(semaphore.acquire(Deadline::NEVER));
    /// assert!(!semaphore.acquire(Deadline::after(Duration::from_millis(1))));
    /// ```
    #[inline]
    pub fn acquire(&self, deadline: Deadline) -> bool {
        give_way();
        self.try_acquire() || self.acquire_slowly(deadline)
    }

    /// Takes a permit, and parks until there is one, for no longer than
    /// `limit`; false if the limit passed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::semaphore::Semaphore;
    ///
    /// let semaphore = Semaphore::new(0);
    /// assert!(!semaphore.acquire_timeout(Duration::from_millis(1)));
    /// semaphore.release();
    /// assert!(semaphore.acquire_timeout(Duration::from_millis(1)));
    /// ```
    pub fn acquire_timeout(&self, limit: Duration) -> bool {
        give_way();
        self.try_acquire() || self.acquire_slowly(Deadline::after(limit))
    }

    #[cold]
    fn acquire_slowly(&self, deadline: Deadline) -> bool {
        let woke = self.queue.wait(self.what, deadline, || !self.try_acquire());
        // Woken: the permit was handed over. NotNeeded: taken just now.
        woke != Wake::TimedOut
    }

    /// Gives a permit back. Never waits.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use green::{Deadline, semaphore::Semaphore, thread::spawn};
    ///
    /// let semaphore = Arc::new(Semaphore::new(0));
    /// let theirs = semaphore.clone();
    /// let waiter = spawn(move || theirs.acquire(Deadline::NEVER));
    /// semaphore.release();
    /// assert!(waiter.join().unwrap());
    /// assert_eq!(semaphore.available(), 0);
    /// ```
    pub fn release(&self) {
        let owed = |permits: isize| (permits < 0).then(|| permits + 1);
        let paid = self
            .permits
            .try_update(Ordering::Release, Ordering::Relaxed, owed);
        if paid.is_err() {
            self.queue.wake_one_then(|woken, _| {
                if !woken {
                    self.permits.fetch_add(1, Ordering::Release);
                }
            });
        }
    }

    /// Adds this many permits, which wakes as many waiters.
    ///
    /// ```
    /// use green::semaphore::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// semaphore.add_permits(2);
    /// assert_eq!(semaphore.available(), 3);
    /// ```
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_PERMITS`].
    pub fn add_permits(&self, permits: usize) {
        assert!(permits <= MAX_PERMITS, "too many permits for a semaphore");
        let mut left = permits as isize;
        while left > 0 {
            let owed = |free: isize| (free < 0).then(|| (free + left).min(0));
            let paid = self
                .permits
                .try_update(Ordering::Release, Ordering::Relaxed, owed);
            left -= match paid {
                Ok(before) => left.min(-before),
                Err(_) => {
                    let woken = self.queue.wake_one_then(|woken, _| {
                        if !woken {
                            self.permits.fetch_add(left, Ordering::Release);
                        }
                    });
                    if woken { 1 } else { left }
                }
            };
        }
    }

    /// Takes this many permits away for good: those that are free at once, the
    /// others as they are given back. Never waits.
    ///
    /// ```
    /// use green::semaphore::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// let held = semaphore.try_permit().unwrap();
    /// semaphore.remove_permits(1);
    /// drop(held);
    /// assert!(!semaphore.try_acquire());
    /// ```
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_PERMITS`].
    pub fn remove_permits(&self, permits: usize) {
        assert!(permits <= MAX_PERMITS, "too many permits for a semaphore");
        self.permits.fetch_sub(permits as isize, Ordering::Relaxed);
    }

    /// How many permits are free.
    ///
    /// ```
    /// use green::semaphore::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// assert!(semaphore.try_acquire());
    /// assert_eq!(semaphore.available(), 2);
    /// ```
    pub fn available(&self) -> usize {
        self.permits.load(Ordering::Relaxed).max(0) as usize
    }

    /// How many threads wait for one.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    ///
    /// use green::{Deadline, thread::{sleep, spawn}, semaphore::Semaphore};
    ///
    /// let semaphore = Arc::new(Semaphore::new(0));
    /// let theirs = semaphore.clone();
    /// let waiter = spawn(move || theirs.acquire(Deadline::NEVER));
    /// while semaphore.waiting() == 0 {
    ///     sleep(Duration::from_millis(1));
    /// }
    /// semaphore.release();
    /// assert!(waiter.join().unwrap());
    /// assert_eq!(semaphore.waiting(), 0);
    /// ```
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }
}
