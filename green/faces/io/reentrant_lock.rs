//! A fair lock that its owner, a green or an OS thread, may take again: what guards the standard streams.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use greenhub::Deadline;
use greenhub::green_thread::{self, ThreadId};
use greenhub::wait_queue::{ShortLock, WaitQueue, Wake, give_way};

/// `held` says whether somebody has the lock; it stays true when the lock is handed to a waiter. `owner` says who, and
/// how many guards they have; only the thread that has the lock makes it its own.
pub(super) struct ReentrantLock<T> {
    held: AtomicBool,
    owner: ShortLock<Option<(ThreadId, usize)>>,
    waiters: WaitQueue,
    what: &'static str,
    /// Never contended: whoever gets here has the lock. A mutex all the same, so that two guards of one owner cannot
    /// both reach the value at the same moment.
    value: Mutex<T>,
}

impl<T> ReentrantLock<T> {
    /// `what` names the lock in reports of who waits for what.
    pub(super) const fn new(what: &'static str, value: T) -> ReentrantLock<T> {
        ReentrantLock {
            held: AtomicBool::new(false),
            owner: ShortLock::new(None),
            waiters: WaitQueue::new(),
            what,
            value: Mutex::new(value),
        }
    }

    pub(super) fn lock(&self) -> ReentrantGuard<'_, T> {
        ReentrantGuard {
            taken: self.take(),
            not_send: PhantomData,
        }
    }

    /// # Panics
    ///
    /// When this thread has the lock already: it would wait for itself.
    pub(super) fn lock_exclusive(&self) -> ExclusiveGuard<'_, T> {
        let taken = self.take();
        let value = self.try_reach();
        ExclusiveGuard {
            value: value.unwrap_or_else(|| panic!("this thread has locked {} already", self.what)),
            _taken: taken,
        }
    }

    fn take(&self) -> Taken<'_, T> {
        give_way();
        let me = green_thread::current().id();
        if !self.enter_again(me) {
            if !self.try_hold() {
                // Woken means handed over; NotNeeded, that `try_hold` succeeded in the end.
                let wake = self
                    .waiters
                    .wait(self.what, Deadline::NEVER, || !self.try_hold());
                debug_assert!(!matches!(wake, Wake::TimedOut));
            }
            *self.owner.lock() = Some((me, 1));
        }
        Taken { lock: self }
    }

    /// The value, if nobody else has the lock: for the end of the process, when nobody can be waited for.
    pub(super) fn try_value(&self) -> Option<MutexGuard<'_, T>> {
        if self.try_hold() {
            self.try_reach()
        } else {
            None
        }
    }

    /// A panic under a guard leaves the value as it is; std's streams go on then too.
    fn try_reach(&self) -> Option<MutexGuard<'_, T>> {
        match self.value.try_lock() {
            Ok(value) => Some(value),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn enter_again(&self, me: ThreadId) -> bool {
        match &mut *self.owner.lock() {
            Some((owner, guards)) if *owner == me => {
                *guards += 1;
                true
            }
            _ => false,
        }
    }

    fn try_hold(&self) -> bool {
        self.held
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    fn leave(&self) {
        {
            let mut owner = self.owner.lock();
            match &mut *owner {
                Some((_, guards)) if *guards > 1 => {
                    *guards -= 1;
                    return;
                }
                _ => *owner = None,
            }
        }
        self.waiters.wake_one_then(|woken, _| {
            if !woken {
                self.held.store(false, Ordering::Release);
            }
        });
    }
}

/// One taking of a [`ReentrantLock`]. It belongs to its thread.
pub(super) struct ReentrantGuard<'a, T> {
    taken: Taken<'a, T>,
    not_send: PhantomData<(*const (), Cell<()>)>,
}

impl<T> ReentrantGuard<'_, T> {
    /// The value, for one call.
    ///
    /// # Panics
    ///
    /// When a call on the value is going on in this very thread, further up the stack.
    pub(super) fn value(&self) -> MutexGuard<'_, T> {
        self.taken.lock.try_reach().expect("already borrowed")
    }
}

/// The lock and, for as long, the value.
pub(super) struct ExclusiveGuard<'a, T> {
    /// Dropped first: the next owner must find it free.
    value: MutexGuard<'a, T>,
    _taken: Taken<'a, T>,
}

impl<T> Deref for ExclusiveGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for ExclusiveGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// Gives the lock back, once.
struct Taken<'a, T> {
    lock: &'a ReentrantLock<T>,
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        self.lock.leave();
    }
}

impl<T> fmt::Debug for ReentrantGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantGuard").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
