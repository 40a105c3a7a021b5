//! `std::time`, as it is: neither clock waits.

pub use std::time::*;
