//! `cargo green` as a user runs it.

mod check;
mod features;
mod patch;
mod real;
mod support;
mod undo;
