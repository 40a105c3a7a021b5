//! [`RwLock`] and its guards.
#![expect(unsafe_code, reason = "a lock hands out references into its cell")]

use std::{
    cell::UnsafeCell,
    fmt,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    panic::{RefUnwindSafe, UnwindSafe},
    ptr::NonNull,
    sync::{LockResult, PoisonError, TryLockError, TryLockResult},
};

use super::{
    poison::{Entry, Poison},
    shared_lock::SharedLock,
};

/// A lock for many readers or one writer, as [`std::sync::RwLock`], that parks green threads.
///
/// Green threads and OS threads may share one, and may hold it across anything that parks.
///
/// Neither kind starves: a reader that comes while a writer waits queues behind it, and when a
/// writer leaves, the readers that queue enter before the next writer.
///
/// # Differences from std
///
/// - std does not say who comes first; here it is as said above. So a thread that holds the lock
///   for reading must not take it for reading again (std's own page warns of this too): if a writer
///   has come in between, the call never returns.
/// - A green thread that is killed, or whose [`timeout`](crate::timeout()) passes, while it writes
///   poisons the lock as a panic does. One that is killed while it waits leaves nothing behind.
///
/// # Examples
///
/// ```
/// use green::sync::{RwLock, RwLockWriteGuard};
///
/// let settings = RwLock::new(vec!["a"]);
/// {
///     let one = settings.read().unwrap();
///     let two = settings.read().unwrap();
///     assert_eq!(*one, *two);
/// }
/// let mut writer = settings.write().unwrap();
/// writer.push("b");
/// let reader = RwLockWriteGuard::downgrade(writer);
/// assert_eq!(reader.len(), 2);
/// ```
pub struct RwLock<T: ?Sized> {
    lock: SharedLock,
    poison: Poison,
    /// Reached through `&self` only by owners of `lock`, and written only by its writer.
    data: UnsafeCell<T>,
}

// SAFETY: the data moves with the lock, and `T` may be sent.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: `lock` keeps writers apart from all others; readers share `&T`, and writers may take the
// value to their thread.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

/// The right to read a [`RwLock`]'s data; dropping it unlocks.
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'rwlock, T: ?Sized + 'rwlock> {
    /// Into the lock's cell. A pointer, so that the guard is covariant in `T`.
    data: NonNull<T>,
    lock: &'rwlock SharedLock,
}

// SAFETY: sharing the guard shares `&T` only. (It is not `Send`, as `NonNull` is not.)
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}
impl<T: ?Sized + RefUnwindSafe> UnwindSafe for RwLockReadGuard<'_, T> {}
impl<T: ?Sized + RefUnwindSafe> RefUnwindSafe for RwLockReadGuard<'_, T> {}

/// The right to write a [`RwLock`]'s data; dropping it unlocks.
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct RwLockWriteGuard<'rwlock, T: ?Sized + 'rwlock> {
    rwlock: &'rwlock RwLock<T>,
    entry: Entry,
    /// Not `Send`, as std's is not.
    not_send: PhantomData<*const ()>,
}

// SAFETY: sharing the guard shares `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<T> RwLock<T> {
    /// Creates an unlocked lock.
    #[inline]
    pub const fn new(t: T) -> RwLock<T> {
        RwLock {
            lock: SharedLock::new(),
            poison: Poison::new(),
            data: UnsafeCell::new(t),
        }
    }

    /// Unwraps the data.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the data, if the lock is poisoned.
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

impl<T: ?Sized> RwLock<T> {
    /// Takes the lock for reading, and waits as long as a writer holds it or waits for it.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the guard, if a writer panicked.
    #[inline]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.lock.read();
        // SAFETY: taken just now.
        let guard = unsafe { self.read_guard() };
        self.poison.check(guard)
    }

    /// Takes the lock for reading if no writer holds it or waits for it; never waits.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if it would have to wait; [`TryLockError::Poisoned`], with the
    /// guard, if a writer panicked.
    #[inline]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if !self.lock.try_read() {
            return Err(TryLockError::WouldBlock);
        }
        // SAFETY: taken just now.
        let guard = unsafe { self.read_guard() };
        Ok(self.poison.check(guard)?)
    }

    /// Takes the lock for writing, and waits as long as anybody holds it.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the guard, if a writer panicked.
    #[inline]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.lock.write();
        // SAFETY: taken just now.
        let guard = unsafe { self.write_guard() };
        self.poison.check(guard)
    }

    /// Takes the lock for writing if nobody holds it; never waits.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if it is held; [`TryLockError::Poisoned`], with the guard, if a
    /// writer panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::{RwLock, TryLockError};
    ///
    /// let lock = RwLock::new(1);
    /// let reading = lock.read().unwrap();
    /// assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    /// drop(reading);
    /// *lock.try_write().unwrap() += 1;
    /// assert_eq!(*lock.try_read().unwrap(), 2);
    /// ```
    #[inline]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        if !self.lock.try_write() {
            return Err(TryLockError::WouldBlock);
        }
        // SAFETY: taken just now.
        let guard = unsafe { self.write_guard() };
        Ok(self.poison.check(guard)?)
    }

    /// Whether a writer panicked. Another thread can change the answer at any moment.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poison.is_set()
    }

    /// Declares the data sound again: later locks succeed.
    #[inline]
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// Reaches the data without locking, since `&mut` is proof that nobody else can.
    ///
    /// # Errors
    ///
    /// [`PoisonError`], with the reference, if the lock is poisoned.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.poison.check(self.data.get_mut())
    }

    /// # Safety
    ///
    /// The caller owns the lock as a reader, and leaves it to the guard.
    #[inline]
    unsafe fn read_guard(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard {
            // SAFETY: the address of a field is not null.
            data: unsafe { NonNull::new_unchecked(self.data.get()) },
            lock: &self.lock,
        }
    }

    /// # Safety
    ///
    /// The caller owns the lock as the writer, and leaves it to the guard.
    #[inline]
    unsafe fn write_guard(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard {
            rwlock: self,
            entry: self.poison.enter(),
            not_send: PhantomData,
        }
    }
}

impl<'rwlock, T: ?Sized> RwLockWriteGuard<'rwlock, T> {
    /// Becomes a reader without letting another writer in between; readers that wait enter, too.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let mut writing = lock.write().unwrap();
    /// *writing = 2;
    /// // No other writer comes in between.
    /// let reading = RwLockWriteGuard::downgrade(writing);
    /// assert_eq!((*reading, *lock.read().unwrap()), (2, 2));
    /// ```
    pub fn downgrade(s: Self) -> RwLockReadGuard<'rwlock, T> {
        let guard = ManuallyDrop::new(s);
        let rwlock = guard.rwlock;
        rwlock.poison.leave(guard.entry);
        rwlock.lock.downgrade();
        // SAFETY: owned as a reader since the line above.
        unsafe { rwlock.read_guard() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.unlock_read();
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.rwlock.poison.leave(self.entry);
        self.rwlock.lock.unlock_write();
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard owns the lock as a reader.
        unsafe { self.data.as_ref() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard owns the lock as the writer.
        unsafe { &*self.rwlock.data.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard owns the lock as the writer, and is borrowed mutably.
        unsafe { &mut *self.rwlock.data.get() }
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(t: T) -> RwLock<T> {
        RwLock::new(t)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => shown.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => shown.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => shown.field("data", &format_args!("<locked>")),
        };
        shown
            .field("poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests;
