//! std's `future`, and what waits for futures: sleeps that any executor may poll.
//!
//! [`block_on`](crate::block_on) runs a future on the calling thread, green or not; a
//! [`JoinHandle`](crate::thread::JoinHandle) is itself a future. `green::aio` (feature `async`) has streams for futures.

#[doc(no_inline)]
pub use std::future::*;

pub use greenhub::future::{Sleep, sleep, sleep_until, timeout};

#[cfg(test)]
mod tests;
