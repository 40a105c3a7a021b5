#![doc = include_str!("../README.md")]

mod patch;

#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
mod answer;
#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
mod gate;
#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
mod hooks;
#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
mod real;
#[cfg(all(target_env = "gnu", not(target_feature = "crt-static")))]
mod self_test;

pub use patch::{Patch, is_monkey_patched, monkey_patch, original};
