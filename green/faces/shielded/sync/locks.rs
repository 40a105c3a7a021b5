//! Locks, and what is used with them.

use std::sync::LockResult;
use std::time::Duration;

use crate::shield;
use crate::shielded::{converted, shielded};
use crate::sync::{
    self, BarrierWaitResult, MutexGuard, RwLockReadGuard, RwLockWriteGuard, WaitTimeoutResult,
};

shielded! {
    /// As [`sync::Mutex`].
    Mutex [T: ?Sized] [T] over sync::Mutex<T>
}
converted! { Mutex [T] [T] over sync::Mutex<T> }

impl<T> Mutex<T> {
    /// As [`sync::Mutex::new`].
    pub const fn new(t: T) -> Mutex<T> {
        Mutex(sync::Mutex::new(t))
    }

    /// As [`sync::Mutex::into_inner`].
    ///
    /// # Errors
    ///
    /// The data, if a holder panicked.
    pub fn into_inner(self) -> LockResult<T> {
        self.0.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// As [`sync::Mutex::lock`].
    ///
    /// # Errors
    ///
    /// The guard, if a holder panicked.
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        shield(|| self.0.lock())
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(t: T) -> Mutex<T> {
        Mutex::new(t)
    }
}

shielded! {
    /// As [`sync::RwLock`].
    RwLock [T: ?Sized] [T] over sync::RwLock<T>
}
converted! { RwLock [T] [T] over sync::RwLock<T> }

impl<T> RwLock<T> {
    /// As [`sync::RwLock::new`].
    pub const fn new(t: T) -> RwLock<T> {
        RwLock(sync::RwLock::new(t))
    }

    /// As [`sync::RwLock::into_inner`].
    ///
    /// # Errors
    ///
    /// The data, if a writer panicked.
    pub fn into_inner(self) -> LockResult<T> {
        self.0.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// As [`sync::RwLock::read`].
    ///
    /// # Errors
    ///
    /// The guard, if a writer panicked.
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        shield(|| self.0.read())
    }

    /// As [`sync::RwLock::write`].
    ///
    /// # Errors
    ///
    /// The guard, if a writer panicked.
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        shield(|| self.0.write())
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(t: T) -> RwLock<T> {
        RwLock::new(t)
    }
}

shielded! {
    /// As [`sync::Condvar`].
    #[derive(Default)]
    Condvar [] [] over sync::Condvar
}
converted! { Condvar [] [] over sync::Condvar }

impl Condvar {
    /// As [`sync::Condvar::new`].
    pub const fn new() -> Condvar {
        Condvar(sync::Condvar::new())
    }

    /// As [`sync::Condvar::wait`].
    ///
    /// # Errors
    ///
    /// The guard, if a holder panicked.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        shield(|| self.0.wait(guard))
    }

    /// As [`sync::Condvar::wait_while`]. `condition` is shielded as well.
    ///
    /// # Errors
    ///
    /// The guard, if a holder panicked.
    pub fn wait_while<'a, T, F>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        shield(|| self.0.wait_while(guard, condition))
    }

    /// As [`sync::Condvar::wait_timeout`].
    ///
    /// # Errors
    ///
    /// The guard and the result, if a holder panicked.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        dur: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        shield(|| self.0.wait_timeout(guard, dur))
    }

    /// As [`sync::Condvar::wait_timeout_while`]. `condition` is shielded as well.
    ///
    /// # Errors
    ///
    /// The guard and the result, if a holder panicked.
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        guard: MutexGuard<'a, T>,
        dur: Duration,
        condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        shield(|| self.0.wait_timeout_while(guard, dur, condition))
    }
}

shielded! {
    /// As [`sync::Barrier`].
    Barrier [] [] over sync::Barrier
}
converted! { Barrier [] [] over sync::Barrier }

impl Barrier {
    /// As [`sync::Barrier::new`].
    pub const fn new(n: usize) -> Barrier {
        Barrier(sync::Barrier::new(n))
    }

    /// As [`sync::Barrier::wait`].
    pub fn wait(&self) -> BarrierWaitResult {
        shield(|| self.0.wait())
    }
}
