//! Switching, starting and handing over, on every rival.

pub mod may;
pub mod threads;
pub mod tokio;
