//! Options by number: `getsockopt(2)` and `setsockopt(2)` as they are.

use std::io;
use std::os::fd::AsFd;

use libc::c_int;

use super::GreenSocket;
use crate::sys::socket;

/// The options whose `int` is the number of a descriptor (asm-generic/socket.h and linux/if_packet.h; libc has no
/// names for them): SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF, and PACKET_FANOUT_DATA, where it can be one.
const NAMING_DESCRIPTORS: [(c_int, c_int); 3] = [
    (libc::SOL_SOCKET, 50),
    (libc::SOL_SOCKET, 52),
    (libc::SOL_PACKET, 22),
];

/// # Options by number
impl GreenSocket {
    /// Reads an option whose value is an `int`.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn option_i32(&self, level: c_int, name: c_int) -> io::Result<c_int> {
        socket::int_option(self.source().fd().as_fd(), level, name)
    }

    /// Sets an option whose value is an `int`.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`. `InvalidInput` for an option whose value is the number of a descriptor, such as
    /// `SO_ATTACH_BPF`, since nobody could tell whose that is: [`set_option_bytes`](GreenSocket::set_option_bytes)
    /// sets these.
    pub fn set_option_i32(&self, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
        if NAMING_DESCRIPTORS.contains(&(level, name)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the option's value is the number of a descriptor, which may be anybody's",
            ));
        }
        socket::set_int_option(self.source().fd().as_fd(), level, name, value)
    }

    /// Reads an option into `value` and returns how many bytes it has. `value` is
    /// zeroed first: no request can be passed in that way.
    ///
    /// The length is in bytes also for `SO_GET_FILTER`, where the kernel counts
    /// instructions. With no room for even one of them (an empty `value`) it is
    /// that of the whole program.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn option_bytes(&self, level: c_int, name: c_int, value: &mut [u8]) -> io::Result<usize> {
        socket::option(self.source().fd().as_fd(), level, name, value)
    }

    /// Sets an option to a value of any type, given as its bytes.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    ///
    /// # Safety
    ///
    /// The values of some options hold addresses that the kernel reads from or
    /// writes to (a socket filter's program, for example). If `value` is one of
    /// these, the addresses must be valid for what the option does with them. Where it holds the number of a
    /// descriptor (`SO_ATTACH_BPF`), that must be the caller's to use.
    #[expect(
        unsafe_code,
        reason = "the caller must answer for addresses and descriptors in the value"
    )]
    pub unsafe fn set_option_bytes(
        &self,
        level: c_int,
        name: c_int,
        value: &[u8],
    ) -> io::Result<()> {
        // SAFETY: as the caller promises.
        unsafe { socket::set_option(self.as_fd(), level, name, value) }
    }

    pub(super) fn flag(&self, level: c_int, name: c_int) -> io::Result<bool> {
        self.option_i32(level, name).map(|value| value != 0)
    }

    pub(super) fn set_flag(&self, level: c_int, name: c_int, on: bool) -> io::Result<()> {
        self.set_option_i32(level, name, on.into())
    }
}
