//! Green threads: spawn, join, scope, sleep, park, kill, and values per green thread.
//!
//! The interface is that of `std::thread`; [`JoinHandle`]'s
//! `kill`, `cancel`, `wait` and `link`, [`Builder::hub`], [`spawn_local`] and
//! [`spawn_after`] are ours. Every function
//! also works on a plain OS thread.

use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::hub::wait;

mod ending;
mod inherited;
mod join_handle;
mod kill;
mod link;
mod local;
mod packet;
mod park;
mod scope;
mod scope_data;
mod spawn;
mod thread;

pub use ending::{Ending, Result};
pub use inherited::{Inherited, InheritedGuard};
pub use join_handle::JoinHandle;
pub(crate) use kill::kill;
pub use link::Link;
pub use local::{AccessError, LocalKey};
pub(crate) use packet::{Packet, drop_unrun};
pub use park::{park, park_timeout};
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use spawn::{Builder, spawn, spawn_after, spawn_local};
pub(crate) use spawn::{own_hub, start_future};
pub use std::thread::available_parallelism;
pub use thread::{Thread, ThreadId, current, panicking};

/// Parks the running thread for at least `duration`.
///
/// On a plain OS thread it blocks that thread. Zero lets the others run.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let before = Instant::now();
/// green::thread::sleep(Duration::from_millis(2));
/// assert!(before.elapsed() >= Duration::from_millis(2));
/// ```
pub fn sleep(duration: Duration) {
    if duration.is_zero() {
        yield_now();
    } else {
        wait::sleep(Deadline::after(duration));
    }
}

/// Parks the running thread until `deadline`; one that has passed lets the
/// others run.
pub fn sleep_until(deadline: Instant) {
    if deadline <= Instant::now() {
        yield_now();
    } else {
        wait::sleep(Deadline::at(deadline));
    }
}

/// Lets the other green threads that are ready on this hub run; on a plain OS
/// thread, other OS threads.
pub fn yield_now() {
    wait::yield_now();
}
