//! Options of TCP connections; the manual page `tcp(7)` has the details.

use std::io;
use std::time::Duration;

use libc::IPPROTO_TCP;
use socket2::TcpKeepalive;

use super::GreenSocket;

/// # Options of TCP
impl GreenSocket {
    /// Sends small pieces at once instead of gathering them (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.sock().set_tcp_nodelay(on)
    }

    /// The setting of [`set_nodelay`](Self::set_nodelay).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.sock().tcp_nodelay()
    }

    /// Acknowledges at once (`TCP_QUICKACK`). The kernel may clear it again by
    /// itself.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_quickack(&self, on: bool) -> io::Result<()> {
        self.sock().set_tcp_quickack(on)
    }

    /// The setting of [`set_quickack`](Self::set_quickack).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn quickack(&self) -> io::Result<bool> {
        self.sock().tcp_quickack()
    }

    /// How long sent data may stay unacknowledged before the connection is given up
    /// with [`TimedOut`](io::ErrorKind::TimedOut) (`TCP_USER_TIMEOUT`, in
    /// milliseconds). This detects a peer that has vanished silently while there is something to
    /// send; for an idle connection see [`set_tcp_keepalive`](Self::set_tcp_keepalive).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_tcp_user_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.sock().set_tcp_user_timeout(limit)
    }

    /// The setting of [`set_tcp_user_timeout`](Self::set_tcp_user_timeout).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn tcp_user_timeout(&self) -> io::Result<Option<Duration>> {
        self.sock().tcp_user_timeout()
    }

    /// Makes a listener wake its acceptor only when data has come, or after this time
    /// (`TCP_DEFER_ACCEPT`, in seconds; the kernel rounds).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_deferaccept(&self, wait: Duration) -> io::Result<()> {
        let seconds = wait.as_secs().try_into().unwrap_or(i32::MAX);
        self.set_option_i32(IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds)
    }

    /// The setting of [`set_deferaccept`](Self::set_deferaccept).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn deferaccept(&self) -> io::Result<Duration> {
        let seconds = self.option_i32(IPPROTO_TCP, libc::TCP_DEFER_ACCEPT)?;
        Ok(Duration::from_secs(seconds.unsigned_abs().into()))
    }

    /// Asks the kernel to probe an idle connection, and sets how: after what time
    /// (`TCP_KEEPIDLE`), how often (`TCP_KEEPINTVL`), and how many unanswered
    /// probes end it (`TCP_KEEPCNT`). What `keepalive` does not set stays.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_tcp_keepalive(&self, keepalive: &TcpKeepalive) -> io::Result<()> {
        self.sock().set_tcp_keepalive(keepalive)
    }

    /// How long a connection is idle before the first probe (`TCP_KEEPIDLE`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn keepalive_time(&self) -> io::Result<Duration> {
        self.sock().tcp_keepalive_time()
    }

    /// The time between probes (`TCP_KEEPINTVL`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn keepalive_interval(&self) -> io::Result<Duration> {
        self.sock().tcp_keepalive_interval()
    }

    /// How many probes may stay unanswered (`TCP_KEEPCNT`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn keepalive_count(&self) -> io::Result<u32> {
        self.sock().tcp_keepalive_retries()
    }
}
