//! Waits that std has no name for: several descriptors, a signal, a future.

pub mod future;
pub mod select;
#[cfg(feature = "signal")]
pub mod signal;

pub use greenhub::future::block_on;
