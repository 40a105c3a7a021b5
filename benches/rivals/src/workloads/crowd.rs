//! Many that are started, wait, are woken and joined, on every rival.

pub mod may;
pub mod tokio;
