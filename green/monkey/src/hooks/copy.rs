//! sendfile(2), splice(2). No flag keeps them from waiting at both ends, so they are made on the
//! pool of blocking threads, once both ends are ready.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::{c_int, c_uint};

use greenhub::foreign;
use libc::{off_t, off64_t, size_t, ssize_t};

use super::descriptor::{Direction, deadline_in, is_nonblocking, is_ready};
use super::waiting::wait;
use crate::Patch;
use crate::answer::{Answer, code, of};

const SWITCHES: Patch = Patch::SOCKET.union(Patch::OS);

hooks! {
    is_on(SWITCHES) fn sendfile(to: c_int, from: c_int, at: *mut off_t, len: size_t) -> ssize_t = own_sendfile;
    is_on(SWITCHES) fn sendfile64(to: c_int, from: c_int, at: *mut off64_t, len: size_t) -> ssize_t
        = own_sendfile;
    is_on(SWITCHES) fn splice(
        from: c_int, from_at: *mut off64_t, to: c_int, to_at: *mut off64_t, len: size_t, flags: c_uint
    ) -> ssize_t = own_splice;
}

/// At a time, so that a slow peer does not keep a thread of the pool for long.
const MOST: size_t = 64 * 1024;

fn when_ready(
    from: c_int,
    to: c_int,
    call: impl FnOnce() -> Answer<ssize_t> + Send + 'static,
) -> Answer<ssize_t> {
    if (is_nonblocking(to) && is_nonblocking(from)) || !foreign::may_park() {
        return call();
    }
    for (fd, direction) in [(from, Direction::Read), (to, Direction::Write)] {
        if is_ready(fd, direction) || is_nonblocking(fd) {
            continue;
        }
        if !wait(fd, direction, deadline_in(fd, direction))? {
            return Err(libc::EAGAIN);
        }
    }
    // Its effect must not be lost, so it is not cut short.
    foreign::blocking_uncut(call).map_err(code)?
}

unsafe fn own_sendfile(to: c_int, from: c_int, at: *mut off_t, len: size_t) -> Answer<ssize_t> {
    let at = at as usize;
    // SAFETY: the caller's place, who waits.
    let call = move || unsafe { of(real::sendfile(to, from, at as *mut off_t, len.min(MOST))) };
    when_ready(from, to, call)
}

unsafe fn own_splice(
    from: c_int,
    from_at: *mut off64_t,
    to: c_int,
    to_at: *mut off64_t,
    len: size_t,
    flags: c_uint,
) -> Answer<ssize_t> {
    let (from_at, to_at) = (from_at as usize, to_at as usize);
    // SAFETY: the caller's places, who waits.
    let call = move || unsafe {
        let (from_at, to_at) = (from_at as *mut off64_t, to_at as *mut off64_t);
        of(real::splice(from, from_at, to, to_at, len.min(MOST), flags))
    };
    when_ready(from, to, call)
}
