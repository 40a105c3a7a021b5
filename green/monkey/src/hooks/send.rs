//! send(2), sendto(2), sendmsg(2): a blocking one of a stream sends all.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::{c_int, c_void};

use libc::{msghdr, size_t, sockaddr, socklen_t, ssize_t};

use super::descriptor::Direction;
use super::iovec::Rest;
use super::waiting::Call;
use crate::Patch;
use crate::answer::{Answer, of};

hooks! {
    is_on(Patch::SOCKET) fn send(fd: c_int, from: *const c_void, len: size_t, flags: c_int) -> ssize_t = own_send;
    is_on(Patch::SOCKET) fn sendto(
        fd: c_int, from: *const c_void, len: size_t, flags: c_int, to: *const sockaddr, to_len: socklen_t
    ) -> ssize_t = own_sendto;
    is_on(Patch::SOCKET) fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t = own_sendmsg;
}

/// Goes on after a short call until `len` bytes are gone. What went before an error counts.
pub(super) fn all(len: size_t, mut once: impl FnMut(size_t) -> Answer<ssize_t>) -> Answer<ssize_t> {
    let mut done = once(0)? as size_t;
    while done < len {
        match once(done) {
            Ok(0) | Err(_) => break,
            Ok(more) => done += more as size_t,
        }
    }
    Ok(done as ssize_t)
}

unsafe fn own_send(fd: c_int, from: *const c_void, len: size_t, flags: c_int) -> Answer<ssize_t> {
    // SAFETY: the caller's arguments, with no address.
    unsafe { own_sendto(fd, from, len, flags, std::ptr::null(), 0) }
}

unsafe fn own_sendto(
    fd: c_int,
    from: *const c_void,
    len: size_t,
    flags: c_int,
    to: *const sockaddr,
    to_len: socklen_t,
) -> Answer<ssize_t> {
    // SAFETY: within the caller's buffer.
    let call = |done: size_t, flags| unsafe {
        of(real::sendto(
            fd,
            from.byte_add(done),
            len - done,
            flags,
            to,
            to_len,
        ))
    };
    if flags & libc::MSG_DONTWAIT != 0 {
        return call(0, flags);
    }
    let mut whole = Call::new(fd, Direction::Write);
    all(len, |done| {
        let attempt = || call(done, flags | libc::MSG_DONTWAIT);
        whole.retry(attempt, || call(done, flags))
    })
}

unsafe fn own_sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> Answer<ssize_t> {
    // SAFETY: the caller's message.
    unsafe {
        if flags & libc::MSG_DONTWAIT != 0 {
            return of(real::sendmsg(fd, message, flags));
        }
        let mut header = *message;
        let mut rest = Rest::new(header.msg_iov, header.msg_iovlen);
        let mut gone = 0;
        let mut whole = Call::new(fd, Direction::Write);
        all(rest.bytes(), |done| {
            if done > 0 {
                rest.advance(done - gone);
                gone = done;
                header.msg_iov = rest.vector().cast_mut();
                header.msg_iovlen = rest.len();
                // Descriptors and the like have gone with the first bytes.
                header.msg_control = std::ptr::null_mut();
                header.msg_controllen = 0;
            }
            let call = |flags| of(real::sendmsg(fd, &raw const header, flags));
            let attempt = || call(flags | libc::MSG_DONTWAIT);
            whole.retry(attempt, || call(flags))
        })
    }
}
