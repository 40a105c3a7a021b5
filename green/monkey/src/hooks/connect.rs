//! connect(2).
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::c_int;

use greenhub::foreign;
use libc::{sockaddr, socklen_t};

use super::descriptor::{Direction, deadline_in, is_nonblocking, without_blocking};
use super::naps::Naps;
use super::option::option;
use super::waiting::wait;
use crate::Patch;
use crate::answer::{Answer, of};

hooks! {
    is_on(Patch::SOCKET) fn connect(fd: c_int, to: *const sockaddr, len: socklen_t) -> c_int = own_connect;
}

unsafe fn own_connect(fd: c_int, to: *const sockaddr, len: socklen_t) -> Answer<c_int> {
    // SAFETY: the caller's.
    let call = || unsafe { of(real::connect(fd, to, len)) };
    if fd < 0 || is_nonblocking(fd) || !foreign::may_park() {
        return call();
    }
    let deadline = deadline_in(fd, Direction::Write);
    let mut naps = Naps::new();
    loop {
        match without_blocking(fd, call) {
            Err(libc::EINPROGRESS) => break,
            // The queue of a listener of Unix's is full, which no event tells the end of.
            Err(libc::EAGAIN) => {
                if !naps.nap(deadline)? {
                    return Err(libc::EAGAIN);
                }
            }
            done => return done,
        }
    }
    if !wait(fd, Direction::Write, deadline)? {
        return Err(libc::EINPROGRESS);
    }
    match option(fd, libc::SO_ERROR)? {
        0 => Ok(0),
        code => Err(code),
    }
}
