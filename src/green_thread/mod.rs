//! Green threads: spawn, join, scope, sleep, park, kill, and values per green thread.
//!
//! The interface is that of `std::thread`; [`JoinHandle`]'s
//! `kill`, `cancel`, `wait` and `link`, [`Builder::hub`], [`spawn_local`] and
//! [`spawn_after`] are ours. Every function
//! also works on a plain OS thread.

use std::time::{Duration, Instant};

use crate::clock::Nanos;
use crate::hub::site::Site;
use crate::hub::wait::{self, Request};

mod join_handle;
mod link;
pub(crate) mod local;
mod packet;
mod park;
pub(crate) mod root;
mod scope;
mod spawn;
mod thread;

pub use join_handle::JoinHandle;
pub(crate) use join_handle::kill;
pub use link::{Ending, Link};
pub use local::{AccessError, LocalKey};
pub use park::{park, park_timeout};
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use spawn::{Builder, Result, spawn, spawn_after, spawn_local};
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
        sleep_to(Nanos::after(duration));
    }
}

/// Parks the running thread until `deadline`; one that has passed lets the
/// others run.
pub fn sleep_until(deadline: Instant) {
    if deadline <= Instant::now() {
        yield_now();
    } else {
        sleep_to(Nanos::from(deadline));
    }
}

fn sleep_to(deadline: Nanos) {
    let request = Request {
        site: Site::Sleep,
        deadline,
        poll_for: None,
    };
    wait::wait(request, |_| true, |_, _| ()).expect("only a wait for a descriptor can fail");
}

/// Lets the other green threads that are ready on this hub run; on a plain OS
/// thread, other OS threads.
pub fn yield_now() {
    wait::yield_now();
}
