//! `std::os::fd`: owned and borrowed descriptors, std's own.
//!
//! The green types implement these traits. A descriptor that a green type lends
//! is non-blocking; one that it gives away is blocking again, unless the type is
//! in non-blocking mode.

pub use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
