//! The names of the crate parking_lot 0.12, on green threads.
//!
//! Locks without poison, guards that can be mapped, a lock that can be upgraded: lock_api's types over the locks of
//! [`green::sync`](crate::sync). A green thread that waits parks; an OS thread blocks.
//!
//! # Differences from parking_lot
//!
//! - The wait for a lock outlives kills and limits around it, as in a [`shield`](crate::shield()), since guards of
//!   lock_api rely on it. The wait for a [`Condvar`] can be ended by them, once the lock is taken again.
//! - Locks are eventually fair, so [`FairMutex`] is [`Mutex`], and to unlock fairly is just to unlock.
//! - There is no deadlock detection ([`report`](crate::report()) says who waits for what), no `arc_lock`, no serde.
//!
//! # Examples
//!
//! ```
//! use green::parking_lot::{Condvar, Mutex};
//!
//! static PAIR: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
//!
//! green::thread::spawn(|| {
//!     *PAIR.0.lock() = true;
//!     PAIR.1.notify_one();
//! });
//! let mut is_set = PAIR.0.lock();
//! while !*is_set {
//!     PAIR.1.wait(&mut is_set);
//! }
//! ```

mod condvar;
mod once;
mod raw_mutex;
mod raw_rwlock;

pub use condvar::{Condvar, WaitTimeoutResult};
pub use lock_api;
pub use once::{Once, OnceState};
pub use raw_mutex::{RawMutex, RawThreadId};
pub use raw_rwlock::RawRwLock;

/// A lock around data.
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;
/// The right to a locked [`Mutex`]'s data.
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;
/// The right to a part of a locked [`Mutex`]'s data.
pub type MappedMutexGuard<'a, T> = lock_api::MappedMutexGuard<'a, RawMutex, T>;

/// The same as [`Mutex`], which is eventually fair.
pub type FairMutex<T> = Mutex<T>;
/// The right to a locked [`FairMutex`]'s data.
pub type FairMutexGuard<'a, T> = MutexGuard<'a, T>;
/// The right to a part of a locked [`FairMutex`]'s data.
pub type MappedFairMutexGuard<'a, T> = MappedMutexGuard<'a, T>;
/// The raw lock of a [`FairMutex`].
pub type RawFairMutex = RawMutex;

/// A lock around data that its owner, a green or an OS thread, may take again.
pub type ReentrantMutex<T> = lock_api::ReentrantMutex<RawMutex, RawThreadId, T>;
/// The right to look at a locked [`ReentrantMutex`]'s data.
pub type ReentrantMutexGuard<'a, T> = lock_api::ReentrantMutexGuard<'a, RawMutex, RawThreadId, T>;
/// The right to look at a part of a locked [`ReentrantMutex`]'s data.
pub type MappedReentrantMutexGuard<'a, T> =
    lock_api::MappedReentrantMutexGuard<'a, RawMutex, RawThreadId, T>;

/// A lock around data for many readers or one writer.
pub type RwLock<T> = lock_api::RwLock<RawRwLock, T>;
/// The right to look at a locked [`RwLock`]'s data.
pub type RwLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawRwLock, T>;
/// The right to a locked [`RwLock`]'s data.
pub type RwLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawRwLock, T>;
/// The right to look at a locked [`RwLock`]'s data, and to become its writer.
pub type RwLockUpgradableReadGuard<'a, T> = lock_api::RwLockUpgradableReadGuard<'a, RawRwLock, T>;
/// The right to look at a part of a locked [`RwLock`]'s data.
pub type MappedRwLockReadGuard<'a, T> = lock_api::MappedRwLockReadGuard<'a, RawRwLock, T>;
/// The right to a part of a locked [`RwLock`]'s data.
pub type MappedRwLockWriteGuard<'a, T> = lock_api::MappedRwLockWriteGuard<'a, RawRwLock, T>;

/// As `Mutex::new`.
pub const fn const_mutex<T>(value: T) -> Mutex<T> {
    Mutex::new(value)
}

/// As `FairMutex::new`.
pub const fn const_fair_mutex<T>(value: T) -> FairMutex<T> {
    FairMutex::new(value)
}

/// As `ReentrantMutex::new`.
pub const fn const_reentrant_mutex<T>(value: T) -> ReentrantMutex<T> {
    ReentrantMutex::new(value)
}

/// As `RwLock::new`.
pub const fn const_rwlock<T>(value: T) -> RwLock<T> {
    RwLock::new(value)
}
