//! Futures on threads that wait: `block_on`, `spawn`, timers, and how a waker is called.
//!
//! - `waker`: a thread that waits for a future is woken by a waker that is the thread itself, so
//!   that it costs no allocation.
//! - `herald`: wakers of others run on a green thread, never in the hub's own context, which cannot
//!   wait and may hold a lock.
//! - `sleep`: futures that are ready at an instant.
//! - `spawned`: futures that are green threads without a stack of their own.

mod herald;
mod sleep;
mod spawned;
mod waker;

pub use self::sleep::{Sleep, prepare_sleeps, sleep, sleep_until, timeout};
pub use self::spawned::{Builder, spawn, spawn_local};
pub use self::waker::block_on;

pub(crate) use self::herald::{prepare, wake};
pub(crate) use self::waker::is_a_thread;
