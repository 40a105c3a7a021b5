//! `std::os::linux::net`: what only Linux has on sockets.
//!
//! # Differences from std
//!
//! std's `TcpStreamExt` is sealed, so this one is our own, with std's methods.
//! [`SocketAddrExt`] is std's.

use std::io;
use std::time::Duration;

pub use std::os::linux::net::SocketAddrExt;

use crate::net::TcpStream;

/// Options of TCP that only Linux has.
///
/// # Examples
///
/// ```
/// use green::net::{TcpListener, TcpStream};
/// use green::os::linux::net::TcpStreamExt;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let stream = TcpStream::connect(listener.local_addr()?)?;
/// stream.set_quickack(true)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait TcpStreamExt {
    /// Acknowledges at once (`TCP_QUICKACK`). The kernel may clear it again by
    /// itself.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    fn set_quickack(&self, quickack: bool) -> io::Result<()>;

    /// The present state of `TCP_QUICKACK`.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    fn quickack(&self) -> io::Result<bool>;

    /// Has a listening socket wake its acceptor only when data has come, or after
    /// this time (`TCP_DEFER_ACCEPT`, in whole seconds; the kernel rounds).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    fn set_deferaccept(&self, accept: Duration) -> io::Result<()>;

    /// The present value of `TCP_DEFER_ACCEPT`.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    fn deferaccept(&self) -> io::Result<Duration>;
}

impl TcpStreamExt for TcpStream {
    fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        self.as_green_socket().set_quickack(quickack)
    }

    fn quickack(&self) -> io::Result<bool> {
        self.as_green_socket().quickack()
    }

    fn set_deferaccept(&self, accept: Duration) -> io::Result<()> {
        self.as_green_socket().set_deferaccept(accept)
    }

    fn deferaccept(&self) -> io::Result<Duration> {
        self.as_green_socket().deferaccept()
    }
}
