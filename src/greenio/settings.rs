//! How the calls on one socket wait: non-blocking mode and a time limit for each
//! direction, shared by all clones of the socket.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::source::Direction;

/// Relaxed everywhere: the values guard nothing, and a call that runs while they
/// change may use the old ones.
#[derive(Debug, Default)]
pub(super) struct Settings {
    nonblocking: AtomicBool,
    read_limit: AtomicLimit,
    write_limit: AtomicLimit,
}

impl Settings {
    pub(super) fn new(nonblocking: bool, read: Option<Duration>, write: Option<Duration>) -> Self {
        let settings = Settings::default();
        settings.nonblocking.store(nonblocking, Ordering::Relaxed);
        settings.read_limit.set(read);
        settings.write_limit.set(write);
        settings
    }

    pub(super) fn nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    pub(super) fn limit(&self, direction: Direction) -> Option<Duration> {
        self.limit_of(direction).get()
    }

    pub(super) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    pub(super) fn set_limit(&self, direction: Direction, limit: Option<Duration>) {
        self.limit_of(direction).set(limit);
    }

    fn limit_of(&self, direction: Direction) -> &AtomicLimit {
        match direction {
            Direction::Read => &self.read_limit,
            Direction::Write => &self.write_limit,
        }
    }
}

/// An optional duration in one word: nanoseconds, and 0 for none. A duration longer than the 584
/// years that fit counts as none, for it never passes.
#[derive(Debug, Default)]
struct AtomicLimit(AtomicU64);

impl AtomicLimit {
    fn get(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }

    fn set(&self, limit: Option<Duration>) {
        let nanoseconds = limit.map_or(0, |limit| limit.as_nanos().try_into().unwrap_or(0));
        self.0.store(nanoseconds, Ordering::Relaxed);
    }
}

/// A zero limit would be "no limit" to the kernel; std refuses it, and so do we.
pub(super) fn refuse_zero(limit: Duration) -> io::Result<()> {
    if limit.is_zero() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "cannot set a 0 duration timeout",
        ));
    }
    Ok(())
}
