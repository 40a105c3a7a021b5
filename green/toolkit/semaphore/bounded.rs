//! A semaphore that notices when more is released than was acquired.

use std::{
    error::Error,
    fmt,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use greenhub::Deadline;
use greenhub::semaphore::Semaphore;

/// A [`Semaphore`] that cannot have more permits than it had at first: to release more than was
/// acquired is an error.
///
/// # Examples
///
/// ```
/// use green::semaphore::BoundedSemaphore;
///
/// let semaphore = BoundedSemaphore::new(1);
/// semaphore.acquire();
/// assert!(!semaphore.try_acquire());
/// assert!(semaphore.release().is_ok());
/// assert!(semaphore.release().is_err());
/// ```
#[derive(Debug)]
pub struct BoundedSemaphore {
    permits: Semaphore,
    acquired: AtomicUsize,
}

impl BoundedSemaphore {
    /// A semaphore with this many permits.
    ///
    /// ```
    /// use green::semaphore::BoundedSemaphore;
    ///
    /// static ONE: BoundedSemaphore = BoundedSemaphore::new(1);
    ///
    /// assert_eq!(ONE.available(), 1);
    /// ```
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_PERMITS`](super::MAX_PERMITS).
    #[must_use]
    pub const fn new(permits: usize) -> BoundedSemaphore {
        BoundedSemaphore {
            permits: Semaphore::named("bounded semaphore", permits),
            acquired: AtomicUsize::new(0),
        }
    }

    /// Takes a permit, and parks until there is one.
    ///
    /// ```
    /// use green::semaphore::BoundedSemaphore;
    ///
    /// let semaphore = BoundedSemaphore::new(2);
    /// semaphore.acquire();
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn acquire(&self) {
        self.permits.acquire(Deadline::NEVER);
        self.acquired.fetch_add(1, Relaxed);
    }

    /// As [`acquire`](BoundedSemaphore::acquire), for no longer than `limit`; false if it passed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::semaphore::BoundedSemaphore;
    ///
    /// let semaphore = BoundedSemaphore::new(1);
    /// let limit = Duration::from_millis(1);
    /// assert!(semaphore.acquire_timeout(limit));
    /// assert!(!semaphore.acquire_timeout(limit));
    /// ```
    #[must_use]
    pub fn acquire_timeout(&self, limit: Duration) -> bool {
        self.count(self.permits.acquire_timeout(limit))
    }

    /// Takes a permit if one is free.
    ///
    /// ```
    /// use green::semaphore::BoundedSemaphore;
    ///
    /// let semaphore = BoundedSemaphore::new(1);
    /// assert!(semaphore.try_acquire());
    /// assert!(!semaphore.try_acquire());
    /// ```
    #[must_use]
    pub fn try_acquire(&self) -> bool {
        self.count(self.permits.try_acquire())
    }

    fn count(&self, acquired: bool) -> bool {
        self.acquired.fetch_add(usize::from(acquired), Relaxed);
        acquired
    }

    /// Gives a permit back. Never waits.
    ///
    /// ```
    /// use green::semaphore::{BoundedSemaphore, NotAcquired};
    ///
    /// let semaphore = BoundedSemaphore::new(1);
    /// assert!(semaphore.try_acquire());
    /// assert_eq!(semaphore.release(), Ok(()));
    /// assert_eq!(semaphore.release(), Err(NotAcquired));
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotAcquired`] if none is taken; nothing has changed then.
    pub fn release(&self) -> Result<(), NotAcquired> {
        self.acquired
            .try_update(Relaxed, Relaxed, |acquired| acquired.checked_sub(1))
            .map_err(|_| NotAcquired)?;
        self.permits.release();
        Ok(())
    }

    /// As [`acquire`](BoundedSemaphore::acquire), with the permit as a guard.
    ///
    /// ```
    /// use green::semaphore::BoundedSemaphore;
    ///
    /// let semaphore = BoundedSemaphore::new(1);
    /// {
    ///     let _permit = semaphore.permit();
    ///     assert_eq!(semaphore.available(), 0);
    /// }
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn permit(&self) -> BoundedPermit<'_> {
        self.acquire();
        BoundedPermit(self)
    }

    /// As [`permit`](BoundedSemaphore::permit), for no longer than `limit`; `None` if it passed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::semaphore::BoundedSemaphore;
    ///
    /// let semaphore = BoundedSemaphore::new(1);
    /// let _permit = semaphore.permit();
    /// assert!(semaphore.permit_timeout(Duration::from_millis(1)).is_none());
    /// ```
    pub fn permit_timeout(&self, limit: Duration) -> Option<BoundedPermit<'_>> {
        self.acquire_timeout(limit).then(|| BoundedPermit(self))
    }

    /// As [`permit`](BoundedSemaphore::permit), if one is free.
    ///
    /// ```
    /// use green::semaphore::BoundedSemaphore;
    ///
    /// let semaphore = BoundedSemaphore::new(1);
    /// let permit = semaphore.try_permit();
    /// assert!(permit.is_some());
    /// assert!(semaphore.try_permit().is_none());
    /// ```
    pub fn try_permit(&self) -> Option<BoundedPermit<'_>> {
        self.try_acquire().then(|| BoundedPermit(self))
    }

    /// How many permits are free.
    ///
    /// ```
    /// use green::semaphore::BoundedSemaphore;
    ///
    /// let semaphore = BoundedSemaphore::new(3);
    /// semaphore.acquire();
    /// assert_eq!(semaphore.available(), 2);
    /// ```
    #[must_use]
    pub fn available(&self) -> usize {
        self.permits.available()
    }

    /// How many threads wait for one.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    ///
    /// use green::{semaphore::BoundedSemaphore, thread};
    ///
    /// let semaphore = Arc::new(BoundedSemaphore::new(1));
    /// semaphore.acquire();
    /// let theirs = semaphore.clone();
    /// let waiter = thread::spawn(move || theirs.acquire());
    /// while semaphore.waiting() == 0 {
    ///     thread::sleep(Duration::from_millis(1));
    /// }
    /// semaphore.release().unwrap();
    /// waiter.join().unwrap();
    /// ```
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.permits.waiting()
    }
}

/// A permit of a [`BoundedSemaphore`]; dropping it gives it back.
///
/// ```
/// use green::semaphore::{BoundedPermit, BoundedSemaphore};
///
/// let semaphore = BoundedSemaphore::new(1);
/// let permit: BoundedPermit<'_> = semaphore.permit();
/// assert_eq!(semaphore.available(), 0);
/// drop(permit);
/// assert_eq!(semaphore.available(), 1);
/// ```
#[derive(Debug)]
#[must_use = "a permit that is dropped at once protects nothing"]
pub struct BoundedPermit<'a>(&'a BoundedSemaphore);

impl BoundedPermit<'_> {
    /// Keeps the permit taken: whoever [`release`](BoundedSemaphore::release)s later gives it back.
    ///
    /// ```
    /// use green::semaphore::BoundedSemaphore;
    ///
    /// let semaphore = BoundedSemaphore::new(1);
    /// semaphore.permit().forget();
    /// assert!(semaphore.try_permit().is_none());
    /// assert!(semaphore.release().is_ok());
    /// ```
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for BoundedPermit<'_> {
    fn drop(&mut self) {
        // An error here means that somebody has released this permit by hand already.
        let _ = self.0.release();
    }
}

/// More was released than acquired: see [`BoundedSemaphore::release`].
///
/// ```
/// use green::semaphore::{BoundedSemaphore, NotAcquired};
///
/// assert_eq!(BoundedSemaphore::new(1).release(), Err(NotAcquired));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAcquired;

impl fmt::Display for NotAcquired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a semaphore was released more often than it was acquired")
    }
}

impl Error for NotAcquired {}
