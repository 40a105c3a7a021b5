//! `errno` of the running thread.
#![expect(unsafe_code, reason = "a thread-local of C")]

use std::ffi::c_int;

// Never inlined, so that its address is taken anew after a wait.
#[inline(never)]
pub(crate) fn errno() -> c_int {
    // SAFETY: the running thread's own, always valid.
    unsafe { *libc::__errno_location() }
}

#[inline(never)]
pub(crate) fn set_errno(code: c_int) {
    // SAFETY: as in `errno`.
    unsafe { *libc::__errno_location() = code };
}
