//! Options of any socket: addresses, buffers, keep-alive, what arrives with the data. Each is one
//! option of the kernel; the manual page `socket(7)` has the details.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use libc::SOL_SOCKET;

use super::GreenSocket;
use crate::calls;

/// # Options of any socket
impl GreenSocket {
    /// Allows binding to an address that closed connections still linger on
    /// (`SO_REUSEADDR`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_reuse_address(&self, on: bool) -> io::Result<()> {
        self.sock().set_reuse_address(on)
    }

    /// The setting of [`set_reuse_address`](Self::set_reuse_address).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn reuse_address(&self) -> io::Result<bool> {
        self.sock().reuse_address()
    }

    /// Allows several sockets to bind to one port and share what arrives
    /// (`SO_REUSEPORT`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_reuse_port(&self, on: bool) -> io::Result<()> {
        self.sock().set_reuse_port(on)
    }

    /// The setting of [`set_reuse_port`](Self::set_reuse_port).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn reuse_port(&self) -> io::Result<bool> {
        self.sock().reuse_port()
    }

    /// Asks the kernel to probe an idle connection (`SO_KEEPALIVE`). How often is
    /// set by [`set_tcp_keepalive`](Self::set_tcp_keepalive).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_keepalive(&self, on: bool) -> io::Result<()> {
        self.sock().set_keepalive(on)
    }

    /// The setting of [`set_keepalive`](Self::set_keepalive).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.sock().keepalive()
    }

    /// What closing does with unsent data (`SO_LINGER`): with `None`, it is sent in
    /// the background; with zero, it is dropped and the connection reset; with any
    /// other time, [`close`](Self::close) waits until the peer has all of it, no
    /// longer than that, and what is left then is sent in the background.
    ///
    /// The kernel counts whole seconds: a part of one counts as one. Sockets that a
    /// listener accepts inherit the setting.
    ///
    /// # Differences from std
    ///
    /// Dropping the last handle does not wait, however long the linger time: the data is sent in
    /// the background. That switches the setting off for whoever holds a duplicate of the
    /// descriptor, in this process or another.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        /// The kernel's own limit.
        const LONGEST_S: u64 = i32::MAX as u64;
        let whole = linger.map(|time| {
            let begun = u64::from(time.subsec_nanos() > 0);
            Duration::from_secs(time.as_secs().saturating_add(begun).min(LONGEST_S))
        });
        if whole.is_some_and(|time| !time.is_zero()) {
            self.source().note_may_linger();
        }
        self.sock().set_linger(whole)
    }

    /// The setting of [`set_linger`](Self::set_linger).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.sock().linger()
    }

    /// Room for data under way, in bytes (`SO_SNDBUF`). The kernel doubles the number, to have room
    /// for its bookkeeping, and reports the doubled one.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_send_buffer_size(&self, bytes: usize) -> io::Result<()> {
        self.sock().set_send_buffer_size(bytes)
    }

    /// The setting of [`set_send_buffer_size`](Self::set_send_buffer_size).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        self.sock().send_buffer_size()
    }

    /// Room for data not yet received, in bytes (`SO_RCVBUF`). The kernel doubles the number, to
    /// have room for its bookkeeping, and reports the doubled one.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
        self.sock().set_recv_buffer_size(bytes)
    }

    /// The setting of [`set_recv_buffer_size`](Self::set_recv_buffer_size).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        self.sock().recv_buffer_size()
    }

    /// How many bytes must have arrived before a wait for data ends
    /// (`SO_RCVLOWAT`). A receive that finds fewer takes them at once, and does not wait.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_recv_low_water(&self, bytes: i32) -> io::Result<()> {
        self.set_option_i32(SOL_SOCKET, libc::SO_RCVLOWAT, bytes)
    }

    /// The setting of [`set_recv_low_water`](Self::set_recv_low_water).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn recv_low_water(&self) -> io::Result<i32> {
        self.option_i32(SOL_SOCKET, libc::SO_RCVLOWAT)
    }

    /// Allows sending to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.sock().set_broadcast(on)
    }

    /// The setting of [`set_broadcast`](Self::set_broadcast).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.sock().broadcast()
    }

    /// Sends only to hosts that are reached without a gateway (`SO_DONTROUTE`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_dontroute(&self, on: bool) -> io::Result<()> {
        self.set_flag(SOL_SOCKET, libc::SO_DONTROUTE, on)
    }

    /// The setting of [`set_dontroute`](Self::set_dontroute).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn dontroute(&self) -> io::Result<bool> {
        self.flag(SOL_SOCKET, libc::SO_DONTROUTE)
    }

    /// Leaves urgent data in the stream (`SO_OOBINLINE`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_oobinline(&self, on: bool) -> io::Result<()> {
        self.sock().set_out_of_band_inline(on)
    }

    /// The setting of [`set_oobinline`](Self::set_oobinline).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn oobinline(&self) -> io::Result<bool> {
        self.sock().out_of_band_inline()
    }

    /// The queueing priority of what is sent (`SO_PRIORITY`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_priority(&self, priority: u32) -> io::Result<()> {
        self.sock().set_priority(priority)
    }

    /// The setting of [`set_priority`](Self::set_priority).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn priority(&self) -> io::Result<u32> {
        self.sock().priority()
    }

    /// The mark of what is sent, for routing and filtering (`SO_MARK`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_mark(&self, mark: u32) -> io::Result<()> {
        self.sock().set_mark(mark)
    }

    /// The setting of [`set_mark`](Self::set_mark).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn mark(&self) -> io::Result<u32> {
        self.sock().mark()
    }

    /// Makes each message bring its sender's process, user and group, as ancillary
    /// data of type `SCM_CREDENTIALS` (`SO_PASSCRED`, Unix sockets).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_passcred(&self, on: bool) -> io::Result<()> {
        self.sock().set_passcred(on)
    }

    /// The setting of [`set_passcred`](Self::set_passcred).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn passcred(&self) -> io::Result<bool> {
        self.sock().passcred()
    }

    /// Makes each message bring the time of its arrival, as ancillary data of type
    /// `SCM_TIMESTAMP` (`SO_TIMESTAMP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_timestamp(&self, on: bool) -> io::Result<()> {
        self.set_flag(SOL_SOCKET, libc::SO_TIMESTAMP, on)
    }

    /// The setting of [`set_timestamp`](Self::set_timestamp).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn timestamp(&self) -> io::Result<bool> {
        self.flag(SOL_SOCKET, libc::SO_TIMESTAMP)
    }

    /// Binds the socket to a network interface by name, or to none
    /// (`SO_BINDTODEVICE`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn bind_device(&self, interface: Option<&str>) -> io::Result<()> {
        self.sock().bind_device(interface.map(str::as_bytes))
    }

    /// The name of the interface set by [`bind_device`](Self::bind_device).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn device(&self) -> io::Result<Option<String>> {
        let name = self.sock().device()?;
        Ok(name.map(|name| String::from_utf8_lossy(&name).into_owned()))
    }

    /// Whether [`listen`](Self::listen) was called (`SO_ACCEPTCONN`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn is_listener(&self) -> io::Result<bool> {
        calls::is_listener(self.source().fd().as_fd())
    }
}
