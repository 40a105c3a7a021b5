//! accept(2), accept4(2).
//!
//! No flag of the call keeps it from waiting, so the descriptor is set to O_NONBLOCK for this one
//! system call. If an OS thread accepts from the same listener at that moment and fails for it, it
//! tries again.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::c_int;

use greenhub::foreign;
use libc::{sockaddr, socklen_t};

use super::descriptor::{
    Direction, deadline_in, is_nonblocking, is_ready, limit_in, without_blocking,
};
use super::waiting::wait;
use crate::Patch;
use crate::answer::{Answer, of};

hooks! {
    is_on_anywhere(Patch::SOCKET) fn accept(fd: c_int, from: *mut sockaddr, len: *mut socklen_t) -> c_int
        = own_accept;
    is_on_anywhere(Patch::SOCKET) fn accept4(
        fd: c_int, from: *mut sockaddr, len: *mut socklen_t, flags: c_int
    ) -> c_int = own_accept4;
}

unsafe fn own_accept(fd: c_int, from: *mut sockaddr, len: *mut socklen_t) -> Answer<c_int> {
    // SAFETY: without flags it is accept(2).
    unsafe { own_accept4(fd, from, len, 0) }
}

unsafe fn own_accept4(
    fd: c_int,
    from: *mut sockaddr,
    len: *mut socklen_t,
    flags: c_int,
) -> Answer<c_int> {
    // SAFETY: the caller's.
    let call = || unsafe { of(real::accept4(fd, from, len, flags)) };
    if !greenhub::is_green() || is_nonblocking(fd) {
        return without_a_game(fd, call);
    }
    let mut deadline = None;
    loop {
        if is_ready(fd, Direction::Read) {
            match without_blocking(fd, call) {
                // Somebody else was faster.
                Err(libc::EAGAIN) => (),
                done => {
                    foreign::give_way();
                    return done;
                }
            }
        }
        if !foreign::may_park() {
            return without_a_game(fd, call);
        }
        let deadline = *deadline.get_or_insert_with(|| deadline_in(fd, Direction::Read));
        if !wait(fd, Direction::Read, deadline)? {
            return Err(libc::EAGAIN);
        }
    }
}

/// The call as it would be, if nobody played with the flag meanwhile.
fn without_a_game(fd: c_int, call: impl Fn() -> Answer<c_int>) -> Answer<c_int> {
    loop {
        let begun = std::time::Instant::now();
        let answer = call();
        if answer != Err(libc::EAGAIN) || fd < 0 {
            return answer;
        }
        let limit = limit_in(fd, Direction::Read);
        if is_nonblocking(fd) || limit.is_some_and(|limit| limit <= begun.elapsed()) {
            return answer;
        }
    }
}
