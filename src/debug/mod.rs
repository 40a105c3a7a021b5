//! A look inside a running program: what each hub watches, who waits for what, who started whom, who uses the CPU.
//!
//! | question | answer |
//! |---|---|
//! | Where does each green thread wait, and since when? What has each hub done? | [`report`](crate::report()) |
//! | Who was started by whom? | [`tree`] |
//! | Which descriptors does each hub watch, and who waits for them? | [`listeners`] |
//! | Which deadlines are near? | [`timers`] |
//! | Who uses the CPU? How long was the longest turn? | [`CpuAccounting`] |
//! | Which green thread holds up its hub? | [`blocking_detection`] |
//! | Do all green threads wait for one another? | [`deadlock_detection`] |
//!
//! Each prints as text, a line for each item, in the manner of eventlet's `format_hub_listeners` and
//! `format_hub_timers` and gevent's `print_run_info`. None stops a hub: a listing is made from what hubs note
//! anyway, so one entry may be a moment older than the next. Anything that costs the hubs time is off until it is
//! asked for.
//!
//! None of it waits for a hub, so an OS thread can ask when every hub is held
//! up.

mod blocking;
mod cpu;
mod deadlock;
mod kill;
mod listeners;
mod monitor;
mod timers;
mod tree;
#[cfg(feature = "backtrace")]
mod unwind;

pub use blocking::blocking_detection;
pub use cpu::CpuAccounting;
pub use deadlock::deadlock_detection;
pub use kill::kill;
pub use listeners::{Listener, Listeners, listeners};
pub use timers::{Timer, Timers, timers};
pub use tree::{Tree, tree};
