//! Park and unpark: one token a thread, as std has it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::hub::current;
use crate::hub::site::Site;
use crate::hub::task::Task;
use crate::hub::wait::{self, Request};
use crate::hub::wait_word::Phase;

/// Parks the running thread until its token is there, and takes the token.
///
/// May return without it, as std's may: wait in a loop.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// use green::thread::{park, spawn};
///
/// static READY: AtomicBool = AtomicBool::new(false);
///
/// let waiter = spawn(|| {
///     while !READY.load(Ordering::Acquire) {
///         park();
///     }
/// });
/// READY.store(true, Ordering::Release);
/// waiter.thread().unpark();
/// waiter.join().unwrap();
/// ```
pub fn park() {
    park_until(Deadline::NEVER);
}

/// As [`park`], for no longer than `limit`.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use green::thread::{current, park_timeout};
///
/// let begun = Instant::now();
/// park_timeout(Duration::from_millis(5));
/// assert!(begun.elapsed() >= Duration::from_millis(5));
///
/// // A token that was left before ends the wait at once.
/// current().unpark();
/// park_timeout(Duration::from_secs(3600));
/// ```
pub fn park_timeout(limit: Duration) {
    park_until(Deadline::after(limit));
}

fn park_until(deadline: Deadline) {
    wait::look_up();
    let task = current::with(Clone::clone);
    if task.token.swap(false, Ordering::SeqCst) {
        return;
    }
    let request = Request {
        site: Site::Park,
        deadline,
        poll_for: None,
    };
    wait::wait(
        &request,
        |waiter| {
            // The unparker sets the token, then looks here; we the other way
            // round.
            waiter.task.parked.store(waiter.ticket, Ordering::SeqCst);
            !waiter.task.token.load(Ordering::SeqCst)
        },
        |_, _| (),
    );
    // A swap, since it must see what the unparker did before.
    task.token.swap(false, Ordering::SeqCst);
}

pub(super) fn unpark(task: &Arc<Task>) {
    task.token.store(true, Ordering::SeqCst);
    // An old ticket does nothing.
    task.wake(task.parked.load(Ordering::SeqCst), Phase::Event);
}
