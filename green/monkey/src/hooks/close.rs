//! close(2), dup2(2), dup3(2): a descriptor's number gets a new meaning, or none, so the waits for
//! it end.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::c_int;

use greenhub::foreign;

use crate::Patch;
use crate::answer::{Answer, of};

hooks! {
    is_on_anywhere(Patch::all()) fn close(fd: c_int) -> c_int = own_close;
    is_on_anywhere(Patch::all()) fn dup2(old: c_int, new: c_int) -> c_int = own_dup2;
    is_on_anywhere(Patch::all()) fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int = own_dup3;
}

fn while_told(fd: c_int, call: impl FnOnce() -> c_int) -> Answer<c_int> {
    foreign::closing(fd);
    let answer = of(call());
    foreign::closed(fd);
    answer
}

unsafe fn own_close(fd: c_int) -> Answer<c_int> {
    // SAFETY: the caller's.
    while_told(fd, || unsafe { real::close(fd) })
}

unsafe fn own_dup2(old: c_int, new: c_int) -> Answer<c_int> {
    // SAFETY: the caller's.
    let call = || unsafe { real::dup2(old, new) };
    // Nothing is closed.
    if old == new || super::waiting::flags(old).is_err() {
        return of(call());
    }
    while_told(new, call)
}

unsafe fn own_dup3(old: c_int, new: c_int, flags: c_int) -> Answer<c_int> {
    // SAFETY: the caller's.
    let call = || unsafe { real::dup3(old, new, flags) };
    if old == new || super::waiting::flags(old).is_err() {
        return of(call());
    }
    while_told(new, call)
}
