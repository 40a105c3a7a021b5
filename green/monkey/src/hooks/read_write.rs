//! read(2), write(2), readv(2), writev(2).
//!
//! `RWF_NOWAIT` keeps one call from waiting, for sockets, pipes and files alike. Where the kernel
//! has no such thing (a terminal, a FIFO, inotify), poll(2) is asked first.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::{c_int, c_void};

use greenhub::Deadline;
use greenhub::foreign;
use libc::{iovec, size_t, ssize_t};

use super::command;
use super::descriptor::{Direction, is_nonblocking, is_on_a_disk, is_ready};
use super::iovec::Rest;
use super::send;
use super::terms::Terms;
use super::waiting::{Call, wait};
use crate::Patch;
use crate::answer::{Answer, code, of};

const SWITCHES: Patch = Patch::SOCKET.union(Patch::OS);

hooks! {
    is_on(SWITCHES) fn read(fd: c_int, to: *mut c_void, len: size_t) -> ssize_t = own_read;
    is_on(SWITCHES) fn write(fd: c_int, from: *const c_void, len: size_t) -> ssize_t = own_write;
    is_on(SWITCHES) fn readv(fd: c_int, to: *const iovec, len: c_int) -> ssize_t = own_readv;
    is_on(SWITCHES) fn writev(fd: c_int, from: *const iovec, len: c_int) -> ssize_t = own_writev;
    is_on(SWITCHES) fn __read_chk(fd: c_int, to: *mut c_void, len: size_t, room: size_t) -> ssize_t
        = own_read_chk;
}

/// The present place in the file.
const HERE: libc::off_t = -1;

/// What poll(2) promises for a pipe that is writable.
const PIPE_BUF: usize = libc::PIPE_BUF;

/// A call where poll(2) must be asked first.
fn asked_first(
    fd: c_int,
    direction: Direction,
    call: impl FnOnce() -> Answer<ssize_t>,
) -> Answer<ssize_t> {
    if is_on_a_disk(fd) || is_nonblocking(fd) {
        return call();
    }
    while !is_ready(fd, direction) && foreign::may_park() {
        wait(fd, direction, Deadline::NEVER)?;
    }
    call()
}

/// # Safety
///
/// The caller's vector.
unsafe fn read_into(fd: c_int, to: *const iovec, len: c_int) -> Answer<ssize_t> {
    // SAFETY: the caller's.
    let block = || unsafe { of(real::readv(fd, to, len)) };
    // SAFETY: as above.
    let attempt = || unsafe { of(libc::preadv2(fd, to, len, HERE, libc::RWF_NOWAIT)) };
    match attempt() {
        Err(libc::EAGAIN) => match Terms::of(fd, Direction::Read) {
            (Terms::Disk, _) if foreign::may_park() => {
                let to = to as usize;
                // SAFETY: the caller's vector and buffers, for as long as it takes.
                let read = move || unsafe { of(real::readv(fd, to as *const iovec, len)) };
                foreign::blocking_uncut(read).map_err(code)?
            }
            terms => Call::on(fd, Direction::Read, terms).again(attempt, block),
        },
        Err(libc::EOPNOTSUPP | libc::ENOSYS) => asked_first(fd, Direction::Read, block),
        done => {
            foreign::give_way();
            done
        }
    }
}

/// # Safety
///
/// The caller's vector.
unsafe fn write_out(fd: c_int, from: *const iovec, len: c_int) -> Answer<ssize_t> {
    // SAFETY: the caller's.
    let mut rest = unsafe { Rest::new(from, usize::try_from(len).unwrap_or(0)) };
    let mut gone = 0;
    let mut whole = Call::new(fd, Direction::Write);
    send::all(rest.bytes(), |done| {
        if done > 0 {
            rest.advance(done - gone);
            gone = done;
        }
        let (from, len) = (rest.vector(), rest.len_as_int());
        // SAFETY: what is left of the caller's.
        let block = || unsafe { of(real::writev(fd, from, len)) };
        // SAFETY: as above.
        let attempt = || unsafe { of(libc::pwritev2(fd, from, len, HERE, libc::RWF_NOWAIT)) };
        match attempt() {
            Err(libc::EAGAIN) => whole.again(attempt, block),
            Err(libc::EOPNOTSUPP | libc::ENOSYS) => asked_first(fd, Direction::Write, || {
                if is_on_a_disk(fd) || rest.bytes() - done <= PIPE_BUF {
                    return block();
                }
                // SAFETY: of the first part that has any.
                unsafe {
                    let parts = std::slice::from_raw_parts(from, len as usize);
                    let Some(part) = parts.iter().find(|part| part.iov_len > 0) else {
                        return block();
                    };
                    of(real::write(fd, part.iov_base, part.iov_len.min(PIPE_BUF)))
                }
            }),
            done => {
                foreign::give_way();
                done
            }
        }
    })
}

unsafe fn own_read(fd: c_int, to: *mut c_void, len: size_t) -> Answer<ssize_t> {
    if command::ended_pipes().is_some() {
        return Ok(0);
    }
    let vector = iovec {
        iov_base: to,
        iov_len: len,
    };
    // SAFETY: the caller's buffer.
    unsafe {
        match len {
            0 => of(real::read(fd, to, 0)),
            _ => match read_into(fd, &vector, 1) {
                Err(code) if command::ends_pipes(code) => Ok(0),
                done => done,
            },
        }
    }
}

unsafe fn own_write(fd: c_int, from: *const c_void, len: size_t) -> Answer<ssize_t> {
    let vector = iovec {
        iov_base: from.cast_mut(),
        iov_len: len,
    };
    // SAFETY: the caller's buffer.
    unsafe {
        match len {
            0 => of(real::write(fd, from, 0)),
            _ => write_out(fd, &vector, 1),
        }
    }
}

unsafe fn own_readv(fd: c_int, to: *const iovec, len: c_int) -> Answer<ssize_t> {
    // SAFETY: the caller's vector.
    unsafe {
        match len {
            1.. => read_into(fd, to, len),
            _ => of(real::readv(fd, to, len)),
        }
    }
}

unsafe fn own_writev(fd: c_int, from: *const iovec, len: c_int) -> Answer<ssize_t> {
    // SAFETY: the caller's vector.
    unsafe {
        match len {
            1..=libc::UIO_MAXIOV => write_out(fd, from, len),
            _ => of(real::writev(fd, from, len)),
        }
    }
}

unsafe fn own_read_chk(fd: c_int, to: *mut c_void, len: size_t, room: size_t) -> Answer<ssize_t> {
    // SAFETY: the caller's; what does not fit ends the process there.
    unsafe {
        match len > room {
            true => of(real::__read_chk(fd, to, len, room)),
            false => own_read(fd, to, len),
        }
    }
}
