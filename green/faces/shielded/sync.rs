//! [`green::sync`](crate::sync), whose waits are shielded.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use green::shielded::sync::{Condvar, Mutex};
//!
//! let (is_done, done) = (Mutex::new(false), Condvar::new());
//! green::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         *is_done.lock().unwrap() = true;
//!         done.notify_one();
//!     });
//!     // No limit around it ends this wait.
//!     let waited = green::timeout(Duration::from_secs(60), || {
//!         drop(done.wait_while(is_done.lock().unwrap(), |is_done| !*is_done));
//!     });
//!     assert!(waited.is_ok());
//! });
//! ```

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
