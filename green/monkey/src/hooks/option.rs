//! What a socket says of itself by an option that is a number.
#![expect(unsafe_code, reason = "system calls")]

use std::ffi::c_int;

use crate::answer::{Answer, of};

/// getsockopt(2) at SOL_SOCKET; an error if `fd` is no socket.
pub(super) fn option(fd: c_int, name: c_int) -> Answer<c_int> {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: `value` and `len` live across the call, and fit together.
    let given = unsafe {
        let value = (&raw mut value).cast();
        libc::getsockopt(fd, libc::SOL_SOCKET, name, value, &mut len)
    };
    of(given).map(|_| value)
}
