//! [`Condvar`] and its [`WaitTimeoutResult`].

use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::{
        LockResult, PoisonError,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use greenhub::Deadline;
use greenhub::wait_queue::{WaitQueue, Wake};

use super::mutex::MutexGuard;

/// A condition variable, as [`std::sync::Condvar`], that parks green threads.
///
/// It works with [`green::sync::Mutex`](super::Mutex), between green threads and OS threads alike.
/// Waiters are woken in the order in which they came. As with std's, a waiter may wake without
/// being notified: wait in a loop, or use [`wait_while`](Condvar::wait_while).
///
/// # Differences from std
///
/// - It may be used with several mutexes.
/// - A green thread that is killed while it waits unwinds *without* the mutex. If it had been
///   notified already, the notification goes on to the next waiter.
///
/// # Examples
///
/// ```
/// use green::sync::{Arc, Condvar, Mutex};
/// use std::thread;
///
/// let shared = Arc::new((Mutex::new(false), Condvar::new()));
/// let starter = Arc::clone(&shared);
/// let thread = thread::spawn(move || {
///     *starter.0.lock().unwrap() = true;
///     starter.1.notify_one();
/// });
///
/// let (started, changed) = &*shared;
/// let guard = changed.wait_while(started.lock().unwrap(), |started| !*started).unwrap();
/// assert!(*guard);
/// # drop(guard);
/// # thread.join().unwrap();
/// ```
pub struct Condvar {
    /// Counts notifications, so that a thread between unlocking and queueing sees that it missed
    /// one.
    notifications: AtomicU32,
    queue: WaitQueue,
}

impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

/// Whether a wait with a limit ended because the limit passed.
#[derive(Debug, PartialEq, Eq, Copy, Clone)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// True if the limit passed.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// Creates a condition variable that nobody waits for.
    #[must_use]
    #[inline]
    pub const fn new() -> Condvar {
        Condvar {
            notifications: AtomicU32::new(0),
            queue: WaitQueue::new(),
        }
    }

    /// Unlocks the mutex, waits to be notified, and locks it again.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the guard, if the mutex is poisoned when it is locked again.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::{Arc, Condvar, Mutex};
    ///
    /// let shared = Arc::new((Mutex::new(None), Condvar::new()));
    /// let teller = Arc::clone(&shared);
    /// green::thread::spawn(move || {
    ///     *teller.0.lock().unwrap() = Some("news");
    ///     teller.1.notify_all();
    /// });
    /// let mut told = shared.0.lock().unwrap();
    /// while told.is_none() {
    ///     told = shared.1.wait(told).unwrap();
    /// }
    /// assert_eq!(*told, Some("news"));
    /// ```
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, Deadline::NEVER).0
    }

    /// Waits as long as `condition` returns true.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Condvar::wait).
    pub fn wait_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`wait`](Condvar::wait), for at most `ms` milliseconds; false if they passed.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Condvar::wait).
    #[deprecated(note = "replaced by `green::sync::Condvar::wait_timeout`")]
    pub fn wait_timeout_ms<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        ms: u32,
    ) -> LockResult<(MutexGuard<'a, T>, bool)> {
        match self.wait_timeout(guard, Duration::from_millis(ms.into())) {
            Ok((guard, result)) => Ok((guard, !result.timed_out())),
            Err(error) => {
                let (guard, result) = error.into_inner();
                Err(PoisonError::new((guard, !result.timed_out())))
            }
        }
    }

    /// As [`wait`](Condvar::wait), for at most `dur`, not counting the time it takes to lock the
    /// mutex again.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Condvar::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let (mutex, nobody_notifies) = (Mutex::new(()), Condvar::new());
    /// let held = mutex.lock().unwrap();
    /// let (_held, result) = nobody_notifies.wait_timeout(held, Duration::from_millis(5)).unwrap();
    /// assert!(result.timed_out());
    /// ```
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        dur: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let (guard, result) = self.wait_until(guard, Deadline::after(dur));
        match guard {
            Ok(guard) => Ok((guard, result)),
            Err(error) => Err(PoisonError::new((error.into_inner(), result))),
        }
    }

    /// Waits as long as `condition` returns true, for at most `dur` in all.
    ///
    /// The result tells whether `condition` was still true at the end.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Condvar::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let (pending, changed) = (Mutex::new(true), Condvar::new());
    /// let held = pending.lock().unwrap();
    /// let limit = Duration::from_millis(5);
    /// let (held, result) = changed.wait_timeout_while(held, limit, |pending| *pending).unwrap();
    /// assert!(*held && result.timed_out());
    /// ```
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        dur: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let deadline = Deadline::after(dur);
        loop {
            if !condition(&mut *guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if deadline.has_passed() {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            guard = match self.wait_until(guard, deadline) {
                (Ok(guard), _) => guard,
                (Err(error), result) => {
                    return Err(PoisonError::new((error.into_inner(), result)));
                }
            };
        }
    }

    /// Wakes the thread that has waited longest, if any waits.
    #[inline]
    pub fn notify_one(&self) {
        self.notifications.fetch_add(1, SeqCst);
        self.queue.wake_one();
    }

    /// Wakes every thread that waits.
    #[inline]
    pub fn notify_all(&self) {
        self.notifications.fetch_add(1, SeqCst);
        self.queue.wake_all();
    }

    fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> (LockResult<MutexGuard<'a, T>>, WaitTimeoutResult) {
        // Read under the mutex: who changes the condition does so under it, too, and notifies
        // afterwards, so that the count moves after this.
        let seen = self.notifications.load(SeqCst);
        let mutex = guard.unlock();
        let wake = self.queue.wait("Condvar::wait", deadline, || {
            self.notifications.load(SeqCst) == seen
        });
        // If a kill arrives while we wait for the mutex, our notification must not be lost.
        let notified = PassOn(self);
        let guard = mutex.lock();
        std::mem::forget(notified);
        (guard, WaitTimeoutResult(wake == Wake::TimedOut))
    }
}

/// Gives a notification to another waiter, when dropped.
struct PassOn<'a>(&'a Condvar);

impl Drop for PassOn<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
