//! epoll_wait(2), epoll_pwait(2), epoll_pwait2(2): other libraries' event loops inside green threads.
//!
//! Neither a kill nor a limit ends such a wait. Event loops know no error but EINTR there: tokio panics and has lost its poller
//! then, so that the destructor of a client ends the process; libuv aborts at once.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::c_int;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::foreign;
use libc::{epoll_event, sigset_t, timespec};

use super::descriptor::Direction;
use super::time::duration;
use crate::Patch;
use crate::answer::{Answer, code, of};

hooks! {
    is_on(Patch::SELECT) fn epoll_wait(poller: c_int, events: *mut epoll_event, room: c_int, limit_ms: c_int) -> c_int
        = own_epoll_wait;
    is_on(Patch::SELECT) fn epoll_pwait(
        poller: c_int, events: *mut epoll_event, room: c_int, limit_ms: c_int, mask: *const sigset_t
    ) -> c_int = own_epoll_pwait;
    is_on(Patch::SELECT) fn epoll_pwait2(
        poller: c_int, events: *mut epoll_event, room: c_int, limit: *const timespec, mask: *const sigset_t
    ) -> c_int = own_epoll_pwait2;
}

/// # Safety
///
/// The caller's events.
unsafe fn wait_for(
    poller: c_int,
    events: *mut epoll_event,
    room: c_int,
    limit: Option<Duration>,
    block: impl FnOnce() -> Answer<c_int>,
) -> Answer<c_int> {
    // SAFETY: the caller's.
    let ask = || unsafe { of(real::epoll_wait(poller, events, room, 0)) };
    let ready = ask()?;
    if ready > 0 || limit.is_some_and(|limit| limit.is_zero()) {
        foreign::give_way();
        return Ok(ready);
    }
    if !foreign::may_park() {
        return block();
    }
    let deadline = Deadline::within(limit);
    loop {
        let goes_on = foreign::wait_fd_uncut(poller, Direction::Read, deadline).map_err(code)?;
        match ask()? {
            0 if goes_on => (),
            ready => return Ok(ready),
        }
    }
}

unsafe fn own_epoll_wait(
    poller: c_int,
    events: *mut epoll_event,
    room: c_int,
    limit_ms: c_int,
) -> Answer<c_int> {
    let limit = u64::try_from(limit_ms).ok().map(Duration::from_millis);
    // SAFETY: the caller's.
    unsafe {
        let block = || of(real::epoll_wait(poller, events, room, limit_ms));
        wait_for(poller, events, room, limit, block)
    }
}

unsafe fn own_epoll_pwait(
    poller: c_int,
    events: *mut epoll_event,
    room: c_int,
    limit_ms: c_int,
    mask: *const sigset_t,
) -> Answer<c_int> {
    // SAFETY: the caller's.
    unsafe {
        match mask.is_null() {
            true => own_epoll_wait(poller, events, room, limit_ms),
            // A mask holds for an OS thread.
            false => of(real::epoll_pwait(poller, events, room, limit_ms, mask)),
        }
    }
}

unsafe fn own_epoll_pwait2(
    poller: c_int,
    events: *mut epoll_event,
    room: c_int,
    limit: *const timespec,
    mask: *const sigset_t,
) -> Answer<c_int> {
    // SAFETY: the caller's.
    unsafe {
        let block = || of(real::epoll_pwait2(poller, events, room, limit, mask));
        match limit.as_ref().map(duration) {
            _ if !mask.is_null() => block(),
            Some(None) => block(),
            limit => wait_for(poller, events, room, limit.flatten(), block),
        }
    }
}
