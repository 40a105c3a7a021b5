//! How the kernel finds out that a peer has vanished.

use std::io;
use std::time::Duration;

use greenhub::greenio::GreenSocket;
use socket2::TcpKeepalive;

/// Keepalive and TCP_USER_TIMEOUT, set together.
///
/// A peer whose machine or network has gone sends nothing that could be noticed. With these options the kernel probes a
/// connection that is silent, and counts how long sent data stays unacknowledged; then reads and writes that wait end with
/// the kernel's `TimedOut`, or with `HostUnreachable` where the network said so. A peer that is there but does not
/// answer is not noticed in this way: that takes a time limit.
///
/// ```
/// use std::time::Duration;
///
/// use green::net::{TcpListener, TcpStream};
/// use green::reconnect::Presence;
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let stream = TcpStream::connect(listener.local_addr()?)?;
/// Presence::SWIFT.apply(&stream)?;
/// Presence { probes: 10, ..Presence::STEADY }.apply(&stream)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// How long the connection is silent before the first probe (`TCP_KEEPIDLE`, in seconds, at least one).
    pub idle: Duration,
    /// The time between probes (`TCP_KEEPINTVL`, in seconds, at least one).
    pub interval: Duration,
    /// How many probes go unanswered before the connection ends (`TCP_KEEPCNT`).
    pub probes: u32,
    /// How long sent data may stay unacknowledged (`TCP_USER_TIMEOUT`, in milliseconds). If it is set, it also decides
    /// instead of `probes` while Linux probes. With `None` the kernel goes on retransmitting for a quarter of an
    /// hour.
    pub user_timeout: Option<Duration>,
}

impl Presence {
    // Linux's timers may be late by an eighth, which is counted in.
    /// Notices within 5 s: for peers in the same building.
    pub const SWIFT: Presence = Presence::new(2, 1, 2);
    /// Notices within 30 s: for peers anywhere on the Internet.
    pub const STEADY: Presence = Presence::new(15, 5, 2);
    /// Notices within 5 min: for peers that lose their network now and then and keep their connections.
    pub const PATIENT: Presence = Presence::new(120, 30, 4);

    const fn new(idle_secs: u64, interval_secs: u64, probes: u32) -> Presence {
        Presence {
            idle: Duration::from_secs(idle_secs),
            interval: Duration::from_secs(interval_secs),
            probes,
            user_timeout: Some(Duration::from_secs(
                idle_secs + interval_secs * probes as u64,
            )),
        }
    }

    /// Sets the options of a TCP socket: a `TcpStream`, a `GreenSslSocket` over one, or a `GreenSocket`.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`; a socket of another kind than TCP has no such options.
    pub fn apply(&self, socket: &impl AsRef<GreenSocket>) -> io::Result<()> {
        let socket = socket.as_ref();
        let keepalive = TcpKeepalive::new()
            .with_time(self.idle)
            .with_interval(self.interval)
            .with_retries(self.probes);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(self.user_timeout)
    }
}
