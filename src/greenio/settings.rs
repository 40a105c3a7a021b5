//! How the calls on one socket wait: non-blocking mode and a time limit for each
//! direction, shared by all clones of the socket.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::GreenSocket;
use crate::source::{Direction, Patience};

/// Relaxed everywhere: the values guard nothing, and a call that runs while they
/// change may use the old ones.
#[derive(Debug, Default)]
pub(super) struct Settings {
    nonblocking: AtomicBool,
    read_limit: Limit,
    write_limit: Limit,
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

    pub(super) fn patience(&self, direction: Direction) -> Patience {
        Patience {
            nonblocking: self.nonblocking(),
            limit: self.limit(direction),
        }
    }

    fn limit_of(&self, direction: Direction) -> &Limit {
        match direction {
            Direction::Read => &self.read_limit,
            Direction::Write => &self.write_limit,
        }
    }
}

/// An optional duration in one word: nanoseconds, and 0 for none. What is longer
/// than the 584 years that fit is none as well, for it never passes.
#[derive(Debug, Default)]
struct Limit(AtomicU64);

impl Limit {
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

/// # How calls wait
///
/// These settings belong to the socket and are shared by its clones. A limit
/// covers a call as a whole, however often it is woken in between. A call that
/// waits already keeps the setting it started with.
impl GreenSocket {
    /// Limits how long a receiving call (and `accept`) waits for data.
    ///
    /// When the limit passes, the call fails with raw error `EAGAIN`, kind
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), as std's read timeouts do on
    /// Linux; the socket stays usable. `None` waits for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a limit of zero.
    pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_limit(Direction::Read, limit)
    }

    /// Limits how long a sending call (and `connect`) waits. See
    /// [`set_read_timeout`](Self::set_read_timeout).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a limit of zero.
    pub fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_limit(Direction::Write, limit)
    }

    /// The limit set by [`set_read_timeout`](Self::set_read_timeout), exactly.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.settings().limit(Direction::Read)
    }

    /// The limit set by [`set_write_timeout`](Self::set_write_timeout), exactly.
    pub fn write_timeout(&self) -> Option<Duration> {
        self.settings().limit(Direction::Write)
    }

    /// Chooses whether calls that would wait fail with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) at once instead.
    pub fn set_nonblocking(&self, nonblocking: bool) {
        let setting = &self.settings().nonblocking;
        setting.store(nonblocking, Ordering::Relaxed);
    }

    /// Whether the socket is in non-blocking mode, as the user sees it. (The
    /// descriptor underneath always is.)
    pub fn nonblocking(&self) -> bool {
        self.settings().nonblocking()
    }

    fn set_limit(&self, direction: Direction, limit: Option<Duration>) -> io::Result<()> {
        limit.map_or(Ok(()), refuse_zero)?;
        self.settings().limit_of(direction).set(limit);
        Ok(())
    }
}
