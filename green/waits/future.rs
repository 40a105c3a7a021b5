//! std's `future`, with sleeps and time limits that any executor may poll.
//!
//! [`block_on`](crate::block_on) runs a future on the calling thread, green or not; a
//! [`JoinHandle`](crate::thread::JoinHandle) is itself a future. `green::aio` (feature `async`) has streams for futures.
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

pub use greenhub::future::{Sleep, sleep, sleep_until, timeout};

#[cfg(test)]
mod tests;
