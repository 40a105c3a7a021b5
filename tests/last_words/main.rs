//! Ends: of the process, of threads, of users' code that panics where nobody can be told.

mod contained;
mod exit;
mod late_destructors;
mod panic_hooks;
