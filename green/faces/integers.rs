//! std's modules of the integers, whose constants older programs take from there.
#![expect(
    clippy::legacy_numeric_constants,
    reason = "std has them, and says of none in which version it goes"
)]

#[doc(no_inline)]
pub use std::{i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize};
