//! std's `os::unix::thread`, as far as a green thread has a part in it.
//!
//! # Differences from std
//!
//! `JoinHandleExt` is absent: a green thread has no pthread of its own to hand out.

pub use std::os::unix::thread::RawPthread;
