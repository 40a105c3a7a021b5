//! Waits that std has no name for: several descriptors, a signal, a future. Every build has them too.

pub mod future;
pub mod select;
pub mod signal;

pub use greenhub::future::block_on;
