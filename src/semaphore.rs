//! A counting semaphore: permits are handed out first come, first served.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::wait_queue::{WaitQueue, Wake};

/// A number of permits that green threads and OS threads share.
///
/// A permit that is given back goes straight to the thread that has waited
/// longest, so nobody is overtaken, and a waiter that timed out or was killed
/// takes none with it.
///
/// ```
/// use greenhub::semaphore::Semaphore;
///
/// let semaphore = Semaphore::new(1);
/// assert!(semaphore.try_acquire());
/// assert!(!semaphore.try_acquire());
/// semaphore.release();
/// assert!(semaphore.acquire(None));
/// ```
#[derive(Debug)]
pub struct Semaphore {
    what: &'static str,
    permits: AtomicUsize,
    queue: WaitQueue,
}

impl Semaphore {
    /// A semaphore with this many permits.
    pub const fn new(permits: usize) -> Semaphore {
        Semaphore::named("semaphore", permits)
    }

    /// As [`new`](Semaphore::new), with the name that a report shows.
    pub const fn named(what: &'static str, permits: usize) -> Semaphore {
        Semaphore {
            what,
            permits: AtomicUsize::new(permits),
            queue: WaitQueue::new(),
        }
    }

    /// Takes a permit if one is free.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.permits
            .try_update(Ordering::Acquire, Ordering::Relaxed, |free| {
                free.checked_sub(1)
            })
            .is_ok()
    }

    /// Takes a permit, and parks until there is one or `deadline` passes; false
    /// is the latter.
    #[inline]
    pub fn acquire(&self, deadline: Option<Instant>) -> bool {
        self.try_acquire() || self.acquire_slowly(deadline)
    }

    #[cold]
    fn acquire_slowly(&self, deadline: Option<Instant>) -> bool {
        let woke = self.queue.wait(self.what, deadline, || !self.try_acquire());
        // Woken: the permit was handed over. NotNeeded: taken just now.
        woke != Wake::TimedOut
    }

    /// Gives a permit back.
    pub fn release(&self) {
        self.queue.wake_one_then(|woken, _| {
            if !woken {
                self.permits.fetch_add(1, Ordering::Release);
            }
        });
    }

    /// How many permits are free.
    pub fn available(&self) -> usize {
        self.permits.load(Ordering::Relaxed)
    }

    /// How many threads wait for one.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }
}
