//! A semaphore whose `release` waits while it is full.

use std::{fmt, time::Duration};

use crate::queue::{core::Core, order::Tally};
use greenhub::Deadline;

/// A semaphore whose [`release`](CappedSemaphore::release) waits while it has as many permits as it
/// may.
///
/// With a cap of zero, acquiring and releasing wait for each other. It is a [`queue`](crate::queue)
/// that holds only a number, and is as fair.
///
/// # Examples
///
/// ```
/// use green::semaphore::CappedSemaphore;
///
/// let semaphore = CappedSemaphore::new(1, 1);
/// assert!(!semaphore.try_release());
/// semaphore.acquire();
/// assert!(semaphore.try_release());
/// ```
pub struct CappedSemaphore {
    permits: Core<Tally>,
}

impl CappedSemaphore {
    /// A semaphore with this many permits, and never more than `cap`.
    ///
    /// ```
    /// use green::semaphore::CappedSemaphore;
    ///
    /// // Two free of at most five.
    /// let semaphore = CappedSemaphore::new(2, 5);
    /// assert_eq!(semaphore.available(), 2);
    /// assert!(semaphore.try_release());
    /// assert_eq!(semaphore.available(), 3);
    /// ```
    ///
    /// # Panics
    ///
    /// If there are more permits than the cap allows.
    #[must_use]
    pub fn new(permits: usize, cap: usize) -> CappedSemaphore {
        assert!(permits <= cap, "more permits than the cap allows");
        CappedSemaphore {
            permits: Core::new("capped semaphore", Tally(permits), Some(cap)),
        }
    }

    /// Takes a permit, and parks until there is one.
    ///
    /// ```
    /// use green::semaphore::CappedSemaphore;
    ///
    /// let semaphore = CappedSemaphore::new(1, 1);
    /// semaphore.acquire();
    /// assert!(!semaphore.try_acquire());
    /// ```
    pub fn acquire(&self) {
        self.permits.get(Deadline::NEVER);
    }

    /// As [`acquire`](CappedSemaphore::acquire), for no longer than `limit`; false if it passed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::semaphore::CappedSemaphore;
    ///
    /// let semaphore = CappedSemaphore::new(0, 1);
    /// assert!(!semaphore.acquire_timeout(Duration::from_millis(1)));
    /// ```
    #[must_use]
    pub fn acquire_timeout(&self, limit: Duration) -> bool {
        let deadline = Deadline::after(limit);
        self.permits.get(deadline).is_some()
    }

    /// Takes a permit if one is there, or somebody waits to release one.
    ///
    /// ```
    /// use green::semaphore::CappedSemaphore;
    ///
    /// let semaphore = CappedSemaphore::new(1, 5);
    /// assert!(semaphore.try_acquire());
    /// assert!(!semaphore.try_acquire());
    /// ```
    #[must_use]
    pub fn try_acquire(&self) -> bool {
        self.permits.try_get().is_some()
    }

    /// Adds a permit, and parks until there is room for it.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use green::{semaphore::CappedSemaphore, thread};
    ///
    /// // A rendezvous: each waits for the other.
    /// let semaphore = Arc::new(CappedSemaphore::new(0, 0));
    /// let theirs = semaphore.clone();
    /// let releaser = thread::spawn(move || theirs.release());
    /// semaphore.acquire();
    /// releaser.join().unwrap();
    /// ```
    pub fn release(&self) {
        let _ = self.permits.put((), Deadline::NEVER);
    }

    /// As [`release`](CappedSemaphore::release), for no longer than `limit`; false if it passed, and
    /// nothing was added.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::semaphore::CappedSemaphore;
    ///
    /// let semaphore = CappedSemaphore::new(1, 1);
    /// assert!(!semaphore.release_timeout(Duration::from_millis(1)));
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    #[must_use]
    pub fn release_timeout(&self, limit: Duration) -> bool {
        let deadline = Deadline::after(limit);
        self.permits.put((), deadline).is_ok()
    }

    /// Adds a permit if there is room for it, or somebody waits to acquire one.
    ///
    /// ```
    /// use green::semaphore::CappedSemaphore;
    ///
    /// let semaphore = CappedSemaphore::new(0, 1);
    /// assert!(semaphore.try_release());
    /// assert!(!semaphore.try_release());
    /// ```
    #[must_use]
    pub fn try_release(&self) -> bool {
        self.permits.try_put(()).is_ok()
    }

    /// As [`acquire`](CappedSemaphore::acquire), with the permit as a guard.
    ///
    /// ```
    /// use green::semaphore::CappedSemaphore;
    ///
    /// let semaphore = CappedSemaphore::new(1, 1);
    /// {
    ///     let _permit = semaphore.permit();
    ///     assert_eq!(semaphore.available(), 0);
    /// }
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn permit(&self) -> CappedPermit<'_> {
        self.acquire();
        CappedPermit(self)
    }

    /// As [`permit`](CappedSemaphore::permit), for no longer than `limit`; `None` if it passed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::semaphore::CappedSemaphore;
    ///
    /// let semaphore = CappedSemaphore::new(1, 1);
    /// let _permit = semaphore.permit();
    /// assert!(semaphore.permit_timeout(Duration::from_millis(1)).is_none());
    /// ```
    pub fn permit_timeout(&self, limit: Duration) -> Option<CappedPermit<'_>> {
        self.acquire_timeout(limit).then(|| CappedPermit(self))
    }

    /// As [`permit`](CappedSemaphore::permit), if that does not have to wait.
    ///
    /// ```
    /// use green::semaphore::CappedSemaphore;
    ///
    /// let semaphore = CappedSemaphore::new(1, 1);
    /// let permit = semaphore.try_permit();
    /// assert!(permit.is_some());
    /// assert!(semaphore.try_permit().is_none());
    /// ```
    pub fn try_permit(&self) -> Option<CappedPermit<'_>> {
        self.try_acquire().then(|| CappedPermit(self))
    }

    /// How many permits are free.
    ///
    /// ```
    /// use green::semaphore::CappedSemaphore;
    ///
    /// let semaphore = CappedSemaphore::new(2, 3);
    /// semaphore.release();
    /// assert_eq!(semaphore.available(), 3);
    /// ```
    #[must_use]
    pub fn available(&self) -> usize {
        self.permits.len()
    }

    /// How many threads wait to acquire.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    ///
    /// use green::{semaphore::CappedSemaphore, thread};
    ///
    /// let semaphore = Arc::new(CappedSemaphore::new(0, 1));
    /// let theirs = semaphore.clone();
    /// let waiter = thread::spawn(move || theirs.acquire());
    /// while semaphore.acquiring() == 0 {
    ///     thread::sleep(Duration::from_millis(1));
    /// }
    /// // Handed over, not added.
    /// semaphore.release();
    /// waiter.join().unwrap();
    /// assert_eq!((semaphore.acquiring(), semaphore.releasing()), (0, 0));
    /// assert_eq!(semaphore.available(), 0);
    /// ```
    #[must_use]
    pub fn acquiring(&self) -> usize {
        self.permits.getting()
    }

    /// How many threads wait to release.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    ///
    /// use green::{semaphore::CappedSemaphore, thread};
    ///
    /// let semaphore = Arc::new(CappedSemaphore::new(1, 1));
    /// let theirs = semaphore.clone();
    /// let releaser = thread::spawn(move || theirs.release());
    /// while semaphore.releasing() == 0 {
    ///     thread::sleep(Duration::from_millis(1));
    /// }
    /// semaphore.acquire();
    /// releaser.join().unwrap();
    /// assert_eq!((semaphore.releasing(), semaphore.available()), (0, 1));
    /// ```
    #[must_use]
    pub fn releasing(&self) -> usize {
        self.permits.putting()
    }
}

impl fmt::Debug for CappedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CappedSemaphore")
            .field("available", &self.available())
            .field("acquiring", &self.acquiring())
            .field("releasing", &self.releasing())
            .finish_non_exhaustive()
    }
}

/// A permit of a [`CappedSemaphore`]; dropping it releases it, which waits if others have filled the
/// semaphore meanwhile.
///
/// ```
/// use green::semaphore::{CappedPermit, CappedSemaphore};
///
/// let semaphore = CappedSemaphore::new(1, 1);
/// let permit: CappedPermit<'_> = semaphore.permit();
/// assert_eq!(semaphore.available(), 0);
/// drop(permit);
/// assert_eq!(semaphore.available(), 1);
/// ```
#[derive(Debug)]
#[must_use = "a permit that is dropped at once protects nothing"]
pub struct CappedPermit<'a>(&'a CappedSemaphore);

impl CappedPermit<'_> {
    /// Keeps the permit taken: whoever [`release`](CappedSemaphore::release)s later gives it back.
    ///
    /// ```
    /// use green::semaphore::CappedSemaphore;
    ///
    /// let semaphore = CappedSemaphore::new(1, 1);
    /// semaphore.permit().forget();
    /// assert_eq!(semaphore.available(), 0);
    /// ```
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for CappedPermit<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}
