//! [`Mutex`] and its guard.
#![expect(unsafe_code, reason = "a lock hands out references into its cell")]

use std::{
    cell::UnsafeCell,
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    panic::{RefUnwindSafe, UnwindSafe},
    sync::{LockResult, PoisonError, TryLockError, TryLockResult},
};

use super::{
    lock::Lock,
    poison::{Entry, Poison},
};

/// A mutual exclusion around data, as [`std::sync::Mutex`], that parks green threads.
///
/// Green threads and OS threads may share one. A green thread that finds it locked parks, and its
/// hub goes on with others; an OS thread blocks. The lock may be held across anything that parks.
///
/// The lock is eventually fair: a thread that finds it free may take it although others wait, but a
/// waiter that was passed over once, or for half a millisecond, gets the lock handed to it, in
/// order of arrival.
///
/// # Differences from std
///
/// - A green thread that is killed, or whose [`timeout`](crate::timeout()) passes, while it holds
///   the lock unwinds, and so poisons the lock as a panic does. One that is killed while it *waits*
///   for the lock leaves nothing behind.
/// - A panic poisons only the locks of the green thread that panics; other green threads of the
///   same OS thread that unlock meanwhile do not poison theirs.
/// - Locking a mutex that the same thread holds already never returns (std leaves open whether it
///   panics).
///
/// # Examples
///
/// ```
/// use green::sync::{Arc, Mutex};
/// use std::thread;
///
/// let hits = Arc::new(Mutex::new(0));
/// let workers: Vec<_> = (0..4)
///     .map(|_| {
///         let hits = Arc::clone(&hits);
///         thread::spawn(move || *hits.lock().unwrap() += 1)
///     })
///     .collect();
/// for worker in workers {
///     worker.join().unwrap();
/// }
/// assert_eq!(*hits.lock().unwrap(), 4);
/// ```
pub struct Mutex<T: ?Sized> {
    lock: Lock,
    poison: Poison,
    /// Reached through `&self` only by the thread that owns `lock`.
    data: UnsafeCell<T>,
}

// SAFETY: the data moves with the mutex, and `T` may be sent.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: `lock` lets one thread at a time reach the data, and `T` may be sent to each.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

/// The right to a locked [`Mutex`]'s data; dropping it unlocks.
#[must_use = "if unused the Mutex will immediately unlock"]
#[clippy::has_significant_drop]
pub struct MutexGuard<'a, T: ?Sized + 'a> {
    mutex: &'a Mutex<T>,
    entry: Entry,
    /// Not `Send`, as std's is not.
    not_send: PhantomData<*const ()>,
}

// SAFETY: sharing the guard shares `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T> Mutex<T> {
    /// Creates an unlocked mutex.
    #[inline]
    pub const fn new(t: T) -> Mutex<T> {
        Mutex {
            lock: Lock::new(),
            poison: Poison::new(),
            data: UnsafeCell::new(t),
        }
    }

    /// Unwraps the data.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the data, if the mutex is poisoned.
    pub fn into_inner(self) -> LockResult<T> {
        let poisoned = self.poison.is_set();
        let data = self.data.into_inner();
        if poisoned {
            Err(PoisonError::new(data))
        } else {
            Ok(data)
        }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the lock, and waits for it as long as need be.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the guard, if a holder panicked. The lock is held then, too.
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.lock.lock();
        // SAFETY: taken just now.
        let guard = unsafe { self.guard() };
        self.poison.check(guard)
    }

    /// Takes the lock if it is free, and never waits.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if it is held; [`TryLockError::Poisoned`], with the guard, if a
    /// holder panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::{Mutex, TryLockError};
    ///
    /// let mutex = Mutex::new(1);
    /// let held = mutex.lock().unwrap();
    /// assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    /// drop(held);
    /// *mutex.try_lock().unwrap() += 1;
    /// assert_eq!(mutex.into_inner().unwrap(), 2);
    /// ```
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if !self.lock.try_lock() {
            return Err(TryLockError::WouldBlock);
        }
        // SAFETY: taken just now.
        let guard = unsafe { self.guard() };
        Ok(self.poison.check(guard)?)
    }

    /// Whether a holder panicked. Another thread can change the answer at any moment.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poison.is_set()
    }

    /// Declares the data sound again: later locks succeed.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::{Arc, Mutex};
    ///
    /// let mutex = Arc::new(Mutex::new(0));
    /// let other = Arc::clone(&mutex);
    /// let panicking = green::thread::spawn(move || {
    ///     let _held = other.lock().unwrap();
    ///     panic!("with the lock held");
    /// });
    /// assert!(panicking.join().is_err());
    ///
    /// let mut held = mutex.lock().unwrap_err().into_inner();
    /// *held = 1;
    /// mutex.clear_poison();
    /// drop(held);
    /// assert_eq!(*mutex.lock().unwrap(), 1);
    /// ```
    #[inline]
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// Reaches the data without locking, since `&mut` is proof that nobody else can.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the reference, if the mutex is poisoned.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.poison.check(self.data.get_mut())
    }

    /// # Safety
    ///
    /// The caller owns the lock, and leaves it to the guard.
    #[inline]
    unsafe fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard {
            mutex: self,
            entry: self.poison.enter(),
            not_send: PhantomData,
        }
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Unlocks, and says which mutex it was: how a condition variable comes back to it.
    pub(super) fn unlock(self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.poison.leave(self.entry);
        self.mutex.lock.unlock();
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard owns the lock.
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard owns the lock, and is borrowed mutably.
        unsafe { &mut *self.mutex.data.get() }
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(t: T) -> Mutex<T> {
        Mutex::new(t)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => shown.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => shown.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => shown.field("data", &"<locked>"),
        };
        shown
            .field("poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests;
