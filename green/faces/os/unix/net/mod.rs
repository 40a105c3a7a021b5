//! `std::os::unix::net` on green threads: sockets within one machine.
//!
//! The types have std's methods, trait impls and errors; [`SocketAddr`] is std's
//! own. A call that waits parks the calling green thread, or blocks the calling OS
//! thread if it is none. The differences from std are those of [`crate::net`].

mod address;
mod datagram;
mod listener;
mod stream;

pub use datagram::UnixDatagram;
pub use listener::{Incoming, UnixListener};
pub use std::os::unix::net::SocketAddr;
pub use stream::UnixStream;

use std::fmt;
use std::os::fd::RawFd;

/// A descriptor's number as std's Unix sockets show it.
struct Descriptor(RawFd);

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileDesc(OwnedFd {{ fd: {} }})", self.0)
    }
}
