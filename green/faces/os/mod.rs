//! `std::os` on green threads: what only Unix and Linux have.

pub mod fd;
pub mod linux;
pub mod unix;

#[doc(no_inline)]
pub use std::os::raw;
