//! `std::thread` on green threads.
//!
//! Every function works on a plain OS thread too, where it blocks that thread.
//!
//! # Differences from std
//!
//! - Beyond std: [`JoinHandle::kill`], [`JoinHandle::cancel`], [`JoinHandle::wait`],
//!   [`JoinHandle::link`], [`spawn_after`], [`spawn_local`], [`sleep_until`], [`Inherited`], and
//!   [`Builder::hub`].
//! - `std::thread::current()` knows nothing of green threads: use [`current`]. Where green threads
//!   have no thread-locals of their own ([`ThreadLocals`](crate::ThreadLocals)), those of one hub
//!   share its `std::thread_local!` values: use [`green::thread_local!`](crate::thread_local!).
//! - `JoinHandleExt` (a pthread handle) has no meaning here.

pub use greenhub::green_thread::{
    AccessError, Builder, Ending, Inherited, InheritedGuard, JoinHandle, Link, LocalKey, Result,
    Scope, ScopedJoinHandle, Thread, ThreadId, available_parallelism, current, panicking, park,
    park_timeout, scope, sleep, sleep_until, spawn, spawn_after, spawn_local, yield_now,
};
