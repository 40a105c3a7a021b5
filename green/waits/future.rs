//! std's `future`, with sleeps and time limits that any executor may poll.
//!
//! [`block_on`](crate::block_on) runs a future on the calling thread, green or not; a
//! [`JoinHandle`](crate::thread::JoinHandle) is itself a future. With the feature `async` there is `spawn`: futures that
//! run by themselves and share a few stacks; `green::aio` then has streams for futures.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use green::future::{sleep, timeout};
//!
//! let outcome = green::block_on(async {
//!     let slow = sleep(Duration::from_secs(3600));
//!     timeout(Duration::from_millis(5), slow).await
//! });
//! assert!(outcome.is_err());
//! ```

#[doc(no_inline)]
pub use std::future::*;

#[cfg(feature = "async")]
pub use greenhub::future::{Builder, spawn, spawn_local};
pub use greenhub::future::{Sleep, sleep, sleep_until, timeout};

#[cfg(test)]
mod tests;
