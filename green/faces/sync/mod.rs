//! [`std::sync`] for green threads: locks, one-time cells, barriers and channels that park the
//! green thread which waits, and never its hub.
//!
//! Every type works between green threads and OS threads alike: an OS thread that waits blocks, as
//! with std. Each is an atomic and a [`WaitQueue`](crate::wait_queue::WaitQueue): nothing is
//! asked of the operating system, or of the hub, as long as nobody has to wait.
//!
//! Waiters are served in order of arrival; only at a [`Mutex`] may newcomers be served first, as
//! its page says. A waiter whose limit passes or which is killed takes nothing with it: a lock, a
//! notification or a value that was on its way to it goes to the next.
//!
//! # Differences from std
//!
//! Error types, `Arc`, `Weak` and atomics *are* std's, re-exported, so that `?` and `match` go on
//! working; guards, [`WaitTimeoutResult`], [`BarrierWaitResult`] and [`OnceState`] are types of
//! this crate with the same methods, since std's cannot be made outside std. What differs in one
//! type alone stands on its page. Nightly items (`mpmc`, `ReentrantLock`, mapped guards) are
//! absent.

#[doc(no_inline)]
pub use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult, Weak, atomic};

mod poison;

pub(in crate::faces) mod lock;
mod mutex;
pub use mutex::{Mutex, MutexGuard};

mod condvar;
pub use condvar::{Condvar, WaitTimeoutResult};

mod rwlock;
pub(in crate::faces) mod shared_lock;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(in crate::faces) mod once;
#[expect(deprecated, reason = "std has it still")]
pub use once::ONCE_INIT;
pub use once::{Once, OnceState};

mod once_lock;
pub use once_lock::OnceLock;

mod lazy_lock;
pub use lazy_lock::LazyLock;

mod barrier;
pub use barrier::{Barrier, BarrierWaitResult};

pub mod mpsc;
