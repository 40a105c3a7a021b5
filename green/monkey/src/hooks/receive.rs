//! recv(2), recvfrom(2), recvmsg(2).
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::{c_int, c_void};

use libc::{msghdr, size_t, sockaddr, socklen_t, ssize_t};

use super::command;
use super::descriptor::Direction;
use super::option::option;
use super::waiting::Call;
use crate::Patch;
use crate::answer::{Answer, of};

hooks! {
    is_on(Patch::SOCKET) fn recv(fd: c_int, to: *mut c_void, len: size_t, flags: c_int) -> ssize_t = own_recv;
    is_on(Patch::SOCKET) fn recvfrom(
        fd: c_int, to: *mut c_void, len: size_t, flags: c_int, from: *mut sockaddr, from_len: *mut socklen_t
    ) -> ssize_t = own_recvfrom;
    is_on(Patch::SOCKET) fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t = own_recvmsg;
    is_on(Patch::SOCKET) fn __recv_chk(
        fd: c_int, to: *mut c_void, len: size_t, room: size_t, flags: c_int
    ) -> ssize_t = own_recv_chk;
    is_on(Patch::SOCKET) fn __recvfrom_chk(
        fd: c_int, to: *mut c_void, len: size_t, room: size_t, flags: c_int, from: *mut sockaddr,
        from_len: *mut socklen_t
    ) -> ssize_t = own_recvfrom_chk;
}

/// With one of these the kernel does not wait.
const NEVER_WAITS: c_int = libc::MSG_DONTWAIT | libc::MSG_ERRQUEUE;

/// Receives once, or, with MSG_WAITALL, until all is there, the stream ends or fails.
fn receive(
    fd: c_int,
    len: size_t,
    flags: c_int,
    call: impl Fn(size_t, c_int) -> ssize_t,
) -> Answer<ssize_t> {
    if flags & NEVER_WAITS != 0 {
        return of(call(0, flags));
    }
    let mut whole = Call::new(fd, Direction::Read);
    let mut once = |done: size_t| {
        whole.retry(
            || of(call(done, flags | libc::MSG_DONTWAIT)),
            || of(call(done, flags)),
        )
    };
    let mut done = once(0)?;
    let to_the_end = flags & libc::MSG_WAITALL != 0 && flags & libc::MSG_PEEK == 0;
    if to_the_end && is_stream(fd) {
        while done > 0 && (done as size_t) < len {
            match once(done as size_t) {
                Ok(0) | Err(_) => break,
                Ok(more) => done += more,
            }
        }
    }
    Ok(done)
}

fn is_stream(fd: c_int) -> bool {
    option(fd, libc::SO_TYPE) == Ok(libc::SOCK_STREAM)
}

unsafe fn own_recv(fd: c_int, to: *mut c_void, len: size_t, flags: c_int) -> Answer<ssize_t> {
    // SAFETY: within the caller's buffer.
    let call = |done, flags| unsafe { real::recv(fd, to.byte_add(done), len - done, flags) };
    let received = receive(fd, len, flags, call);
    // SAFETY: the caller's buffer.
    unsafe { command::hear_of_the_start(received, fd, to, len, || of(call(0, flags))) }
}

unsafe fn own_recvfrom(
    fd: c_int,
    to: *mut c_void,
    len: size_t,
    flags: c_int,
    from: *mut sockaddr,
    from_len: *mut socklen_t,
) -> Answer<ssize_t> {
    // SAFETY: within the caller's buffer; the address is written by the call that succeeds.
    receive(fd, len, flags, |done, flags| unsafe {
        real::recvfrom(fd, to.byte_add(done), len - done, flags, from, from_len)
    })
}

unsafe fn own_recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> Answer<ssize_t> {
    // SAFETY: the caller's message. Nothing is called again once it was filled.
    receive(fd, 0, flags, |_, flags| unsafe {
        real::recvmsg(fd, message, flags)
    })
}

unsafe fn own_recv_chk(
    fd: c_int,
    to: *mut c_void,
    len: size_t,
    room: size_t,
    flags: c_int,
) -> Answer<ssize_t> {
    // SAFETY: the caller's; what does not fit ends the process there.
    unsafe {
        match len > room {
            true => of(real::__recv_chk(fd, to, len, room, flags)),
            false => own_recv(fd, to, len, flags),
        }
    }
}

unsafe fn own_recvfrom_chk(
    fd: c_int,
    to: *mut c_void,
    len: size_t,
    room: size_t,
    flags: c_int,
    from: *mut sockaddr,
    from_len: *mut socklen_t,
) -> Answer<ssize_t> {
    // SAFETY: as above.
    unsafe {
        match len > room {
            true => of(real::__recvfrom_chk(
                fd, to, len, room, flags, from, from_len,
            )),
            false => own_recvfrom(fd, to, len, flags, from, from_len),
        }
    }
}
