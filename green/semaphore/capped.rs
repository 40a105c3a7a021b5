//! A semaphore that can be full.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::queue::{core::Core, order::Tally};

/// A semaphore whose [`release`](CappedSemaphore::release) waits while it has as many permits as it
/// may.
///
/// With a cap of zero acquiring and releasing meet: each waits for the other. It is a
/// [`queue`](crate::queue) of nothing but a number, and as fair.
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
    pub fn acquire(&self) {
        self.permits.get(None);
    }

    /// As [`acquire`](CappedSemaphore::acquire), for no longer than `limit`; false if it passed.
    #[must_use]
    pub fn acquire_timeout(&self, limit: Duration) -> bool {
        let deadline = Instant::now().checked_add(limit);
        self.permits.get(deadline).is_some()
    }

    /// Takes a permit if one is there, or somebody waits to release one.
    #[must_use]
    pub fn try_acquire(&self) -> bool {
        self.permits.try_get().is_some()
    }

    /// Adds a permit, and parks until there is room for it.
    pub fn release(&self) {
        let _ = self.permits.put((), None);
    }

    /// As [`release`](CappedSemaphore::release), for no longer than `limit`; false if it passed, and
    /// nothing was added.
    #[must_use]
    pub fn release_timeout(&self, limit: Duration) -> bool {
        let deadline = Instant::now().checked_add(limit);
        self.permits.put((), deadline).is_ok()
    }

    /// Adds a permit if there is room for it, or somebody waits to acquire one.
    #[must_use]
    pub fn try_release(&self) -> bool {
        self.permits.try_put(()).is_ok()
    }

    /// As [`acquire`](CappedSemaphore::acquire), with the permit as a guard.
    pub fn permit(&self) -> CappedPermit<'_> {
        self.acquire();
        CappedPermit(self)
    }

    /// As [`permit`](CappedSemaphore::permit), for no longer than `limit`; `None` if it passed.
    pub fn permit_timeout(&self, limit: Duration) -> Option<CappedPermit<'_>> {
        self.acquire_timeout(limit).then(|| CappedPermit(self))
    }

    /// As [`permit`](CappedSemaphore::permit), if that does not have to wait.
    pub fn try_permit(&self) -> Option<CappedPermit<'_>> {
        self.try_acquire().then(|| CappedPermit(self))
    }

    /// How many permits are free.
    #[must_use]
    pub fn available(&self) -> usize {
        self.permits.len()
    }

    /// How many threads wait to acquire.
    #[must_use]
    pub fn acquiring(&self) -> usize {
        self.permits.getting()
    }

    /// How many threads wait to release.
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
#[derive(Debug)]
#[must_use = "a permit that is dropped at once protects nothing"]
pub struct CappedPermit<'a>(&'a CappedSemaphore);

impl CappedPermit<'_> {
    /// Keeps the permit taken: whoever [`release`](CappedSemaphore::release)s later gives it back.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for CappedPermit<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}
