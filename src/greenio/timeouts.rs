//! How the calls on a socket wait: settings for its user.

use std::io;
use std::time::Duration;

use super::GreenSocket;
use super::settings::refuse_zero;
use crate::source::Direction;

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
        self.settings().set_nonblocking(nonblocking);
    }

    /// Whether the socket is in non-blocking mode, as the user sees it. (The
    /// descriptor underneath always is.)
    pub fn nonblocking(&self) -> bool {
        self.settings().nonblocking()
    }

    fn set_limit(&self, direction: Direction, limit: Option<Duration>) -> io::Result<()> {
        limit.map_or(Ok(()), refuse_zero)?;
        self.settings().set_limit(direction, limit);
        Ok(())
    }
}
