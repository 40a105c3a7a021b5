//! [`green::sync`](crate::sync), whose waits are shielded.

mod cells;
mod locks;
pub mod mpsc;

#[doc(no_inline)]
pub use crate::sync::{
    Arc, BarrierWaitResult, LockResult, MutexGuard, OnceState, PoisonError, RwLockReadGuard,
    RwLockWriteGuard, TryLockError, TryLockResult, WaitTimeoutResult, Weak, atomic,
};
#[expect(deprecated, reason = "std has it still")]
pub use cells::ONCE_INIT;
pub use cells::{LazyLock, Once, OnceLock};
pub use locks::{Barrier, Condvar, Mutex, RwLock};
