//! recvmmsg(2) and sendmmsg(2).
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::{c_int, c_uint};

use libc::{mmsghdr, timespec};

use greenhub::Deadline;

use super::descriptor::Direction;
use super::time::duration;
use super::waiting::Call;
use crate::Patch;
use crate::answer::{Answer, of};

hooks! {
    is_on(Patch::SOCKET) fn recvmmsg(
        fd: c_int, messages: *mut mmsghdr, len: c_uint, flags: c_int, limit: *mut timespec
    ) -> c_int = own_recvmmsg;
    is_on(Patch::SOCKET) fn sendmmsg(fd: c_int, messages: *mut mmsghdr, len: c_uint, flags: c_int) -> c_int
        = own_sendmmsg;
}

/// Goes on until all messages are through, `is_over`, or one fails. What went before an error
/// counts.
fn all(
    len: c_uint,
    mut is_over: impl FnMut() -> bool,
    mut once: impl FnMut(c_uint) -> Answer<c_int>,
) -> Answer<c_int> {
    let mut done = once(0)?;
    while (done as c_uint) < len && !is_over() {
        match once(done as c_uint) {
            Ok(0) | Err(_) => break,
            Ok(more) => done += more,
        }
    }
    Ok(done)
}

unsafe fn own_recvmmsg(
    fd: c_int,
    messages: *mut mmsghdr,
    len: c_uint,
    flags: c_int,
    limit: *mut timespec,
) -> Answer<c_int> {
    // SAFETY: within the caller's messages. The kernel looks at the limit between two of them, as
    // we do.
    let call = |done: c_uint, flags, limit| unsafe {
        let messages = messages.add(done as usize);
        of(real::recvmmsg(fd, messages, len - done, flags, limit))
    };
    let null = std::ptr::null_mut();
    if flags & (libc::MSG_DONTWAIT | libc::MSG_ERRQUEUE) != 0 {
        return call(0, flags, limit);
    }
    // SAFETY: null or the caller's.
    let limit = unsafe { limit.as_ref() }.and_then(duration);
    let deadline = Deadline::within(limit);
    let for_one = flags & libc::MSG_WAITFORONE != 0;
    let is_over = || for_one || deadline.has_passed();
    all(len, is_over, |done| {
        let attempt = || call(done, flags | libc::MSG_DONTWAIT, null);
        let block = || call(done, flags | libc::MSG_WAITFORONE, null);
        Call::new(fd, Direction::Read).retry(attempt, block)
    })
}

unsafe fn own_sendmmsg(
    fd: c_int,
    messages: *mut mmsghdr,
    len: c_uint,
    flags: c_int,
) -> Answer<c_int> {
    // SAFETY: within the caller's messages.
    let call = |done: c_uint, flags| unsafe {
        of(real::sendmmsg(
            fd,
            messages.add(done as usize),
            len - done,
            flags,
        ))
    };
    if flags & libc::MSG_DONTWAIT != 0 {
        return call(0, flags);
    }
    all(
        len,
        || false,
        |done| {
            let attempt = || call(done, flags | libc::MSG_DONTWAIT);
            Call::new(fd, Direction::Write).retry(attempt, || call(done, flags))
        },
    )
}
