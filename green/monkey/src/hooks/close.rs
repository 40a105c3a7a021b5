//! close(2), dup2(2), dup3(2): a descriptor's number gets a new meaning, or none, so the waits for
//! it end. The last close of a socket that lingers (`SO_LINGER`) waits for the peer: a thread of the pool does that
//! part of it.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::c_int;

use greenhub::foreign;

use super::descriptor;
use super::terms;
use crate::Patch;
use crate::answer::{Answer, of};
use crate::behind;

hooks! {
    is_on_anywhere(Patch::all()) fn dup2(old: c_int, new: c_int) -> c_int = own_dup2;
    is_on_anywhere(Patch::all()) fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int = own_dup3;
    + is_on_anywhere(Patch::all()) fn close(fd: c_int) -> c_int = own_close;
}

fn while_told(fd: c_int, call: impl FnOnce() -> c_int) -> Answer<c_int> {
    let lingering = Lingering::of(fd);
    foreign::closing(fd);
    terms::forget(fd);
    let answer = of(call());
    foreign::closed(fd);
    terms::forget(fd);
    if let Some(lingering) = lingering {
        // A kill or a limit ends the wait, not the close; without a thread it is done here.
        let _ = foreign::blocking(move || drop(lingering));
    }
    answer
}

/// A socket under a number of its own, so that no close of another number waits. To drop it waits, if nobody else has
/// the socket.
struct Lingering(c_int);

impl Lingering {
    /// If a close of `fd` may wait, and the running thread can be parked meanwhile.
    fn of(fd: c_int) -> Option<Lingering> {
        let mut setting = libc::linger {
            l_onoff: 0,
            l_linger: 0,
        };
        let mut len = size_of::<libc::linger>() as libc::socklen_t;
        if !foreign::may_park() {
            return None;
        }
        // SAFETY: `setting` and `len` live across the call, and fit together; a wrong `fd` is an error.
        let asked = unsafe {
            let setting = (&raw mut setting).cast();
            libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, setting, &mut len)
        };
        if asked != 0 || setting.l_onoff == 0 || setting.l_linger == 0 {
            return None;
        }
        // SAFETY: no pointer is passed.
        let kept = unsafe { behind::real::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
        (kept >= 0).then_some(Lingering(kept))
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        // SAFETY: it is ours alone.
        unsafe { real::close(self.0) };
    }
}

unsafe fn own_close(fd: c_int) -> Answer<c_int> {
    // SAFETY: the caller's.
    while_told(fd, || unsafe { real::close(fd) })
}

unsafe fn own_dup2(old: c_int, new: c_int) -> Answer<c_int> {
    // SAFETY: the caller's.
    let call = || unsafe { real::dup2(old, new) };
    // Nothing is closed.
    if old == new || descriptor::flags(old).is_err() {
        return of(call());
    }
    while_told(new, call)
}

unsafe fn own_dup3(old: c_int, new: c_int, flags: c_int) -> Answer<c_int> {
    // SAFETY: the caller's.
    let call = || unsafe { real::dup3(old, new, flags) };
    if old == new || descriptor::flags(old).is_err() {
        return of(call());
    }
    while_told(new, call)
}
