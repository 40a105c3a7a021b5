#![doc = include_str!("../README.md")]

// In the order in which they stand on each other; tests/tidy holds them to it.
mod switches;

#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
mod errno;

#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
mod answer;
#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
#[macro_use]
mod real;
#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
mod behind;
#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
mod gate;
#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
#[macro_use]
mod hook;
#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
mod hooks;
#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
mod self_test;

mod patch;

pub use patch::{is_monkey_patched, monkey_patch, original};
pub use switches::Patch;
