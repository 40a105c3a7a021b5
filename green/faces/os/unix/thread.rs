//! std's `os::unix::thread`, as far as it applies to green threads.
//!
//! # Differences from std
//!
//! `JoinHandleExt` is absent: a green thread has no pthread of its own to hand out.

pub use std::os::unix::thread::RawPthread;
