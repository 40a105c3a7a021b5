//! Green threads: how they start, end and are killed, their limits, and what unwinds in them.

mod shield;
mod shielded;
mod threads;
mod timeouts;
mod unwinding;
