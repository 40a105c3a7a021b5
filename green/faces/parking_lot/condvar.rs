//! [`Condvar`], which keeps the guard where it is.
#![expect(
    unsafe_code,
    reason = "a lock is left and taken under a guard that stays"
)]

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use greenhub::Deadline;
use greenhub::wait_queue::{WaitQueue, Wake};
use lock_api::RawMutex as _;

use super::{MutexGuard, RawMutex};

/// A condition variable, used with a [`Mutex`](super::Mutex), or with several.
#[derive(Default)]
pub struct Condvar {
    /// Moves with every notification.
    notifications: AtomicU32,
    queue: WaitQueue,
}

/// Whether a wait ended because its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was over.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.0
    }
}

/// Takes the lock again, whatever ends the wait.
struct TakeAgain<'a>(&'a RawMutex);

impl Drop for TakeAgain<'_> {
    fn drop(&mut self) {
        self.0.lock();
    }
}

impl Condvar {
    /// Creates a condition variable that nobody waits for.
    #[must_use]
    pub const fn new() -> Condvar {
        Condvar {
            notifications: AtomicU32::new(0),
            queue: WaitQueue::new(),
        }
    }

    /// Unlocks the mutex, waits to be notified, and locks it again.
    ///
    /// A kill or a passed limit unwinds out of this call, once the mutex is locked again.
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_at_most(guard, Deadline::NEVER);
    }

    /// As [`wait`](Condvar::wait), until `timeout` at most.
    pub fn wait_until<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        timeout: Instant,
    ) -> WaitTimeoutResult {
        self.wait_at_most(guard, Deadline::at(timeout))
    }

    /// As [`wait`](Condvar::wait), for `timeout` at most.
    pub fn wait_for<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        self.wait_at_most(guard, Deadline::after(timeout))
    }

    /// Waits as long as `condition` returns true.
    pub fn wait_while<T: ?Sized, F>(&self, guard: &mut MutexGuard<'_, T>, mut condition: F)
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(guard) {
            self.wait(guard);
        }
    }

    /// Waits as long as `condition` returns true, until `timeout` at most.
    pub fn wait_while_until<T: ?Sized, F>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        condition: F,
        timeout: Instant,
    ) -> WaitTimeoutResult
    where
        F: FnMut(&mut T) -> bool,
    {
        self.wait_while_at_most(guard, condition, Deadline::at(timeout))
    }

    /// Waits as long as `condition` returns true, for `timeout` at most.
    pub fn wait_while_for<T: ?Sized, F>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        condition: F,
        timeout: Duration,
    ) -> WaitTimeoutResult
    where
        F: FnMut(&mut T) -> bool,
    {
        self.wait_while_at_most(guard, condition, Deadline::after(timeout))
    }

    /// Wakes the thread that has waited longest; says whether one waited.
    pub fn notify_one(&self) -> bool {
        self.notifications.fetch_add(1, SeqCst);
        self.queue.wake_one()
    }

    /// Wakes every thread that waits; says how many did.
    pub fn notify_all(&self) -> usize {
        self.notifications.fetch_add(1, SeqCst);
        self.queue.wake_all()
    }

    fn wait_while_at_most<T: ?Sized, F>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: F,
        deadline: Deadline,
    ) -> WaitTimeoutResult
    where
        F: FnMut(&mut T) -> bool,
    {
        let mut result = WaitTimeoutResult(false);
        while !result.timed_out() && condition(guard) {
            result = self.wait_at_most(guard, deadline);
        }
        result
    }

    fn wait_at_most<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Deadline,
    ) -> WaitTimeoutResult {
        // Read under the mutex: who changes the condition does so under it, too, and notifies
        // afterwards, so that the count moves after this.
        let seen = self.notifications.load(SeqCst);
        // SAFETY: the guard is ours for the length of this call, in which nobody reaches the data
        // through it, and the lock is taken again before it ends.
        let raw = unsafe { MutexGuard::mutex(guard).raw() };
        let again = TakeAgain(raw);
        // SAFETY: the guard owns it.
        unsafe { raw.unlock() };
        let wake = self.queue.wait("Condvar::wait", deadline, || {
            self.notifications.load(SeqCst) == seen
        });
        drop(again);
        WaitTimeoutResult(wake == Wake::TimedOut)
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
