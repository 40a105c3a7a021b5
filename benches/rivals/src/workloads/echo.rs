//! The echo server on every rival.

pub mod may;
pub mod raw_epoll;
pub mod threads;
pub mod tokio;
