//! A permit as a guard, which gives itself back.

use std::time::Duration;

use super::Semaphore;
use crate::deadline::Deadline;

/// A permit of a [`Semaphore`]; dropping it gives it back.
///
/// ```
/// use green::semaphore::{Permit, Semaphore};
///
/// let semaphore = Semaphore::new(1);
/// let permit: Permit<'_> = semaphore.permit();
/// assert_eq!(semaphore.available(), 0);
/// drop(permit);
/// assert_eq!(semaphore.available(), 1);
/// ```
#[derive(Debug)]
#[must_use = "a permit that is dropped at once protects nothing"]
pub struct Permit<'a>(&'a Semaphore);

impl Permit<'_> {
    /// Keeps the permit taken: whoever [`release`](Semaphore::release)s later
    /// gives it back.
    ///
    /// ```
    /// use green::semaphore::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// semaphore.permit().forget();
    /// assert_eq!(semaphore.available(), 0);
    /// semaphore.release();
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Semaphore {
    /// As [`acquire`](Semaphore::acquire) without a limit, with the permit as a
    /// guard.
    ///
    /// ```
    /// use green::semaphore::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.permit();
    /// assert!(semaphore.try_permit().is_none());
    /// drop(permit);
    /// assert!(semaphore.try_permit().is_some());
    /// ```
    pub fn permit(&self) -> Permit<'_> {
        self.acquire(Deadline::NEVER);
        Permit(self)
    }

    /// As [`permit`](Semaphore::permit), for no longer than `limit`; `None` if
    /// it passed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::semaphore::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.permit();
    /// let limit = Duration::from_millis(1);
    /// assert!(semaphore.permit_timeout(limit).is_none());
    /// drop(permit);
    /// assert!(semaphore.permit_timeout(limit).is_some());
    /// ```
    pub fn permit_timeout(&self, limit: Duration) -> Option<Permit<'_>> {
        self.acquire_timeout(limit).then(|| Permit(self))
    }

    /// As [`permit`](Semaphore::permit), if one is free.
    ///
    /// ```
    /// use green::semaphore::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.try_permit().unwrap();
    /// assert!(semaphore.try_permit().is_none());
    /// drop(permit);
    /// assert!(semaphore.try_permit().is_some());
    /// ```
    pub fn try_permit(&self) -> Option<Permit<'_>> {
        self.try_acquire().then(|| Permit(self))
    }
}
