//! What a hook returns, in the C library's conventions.

use std::ffi::{c_int, c_long, c_void};
use std::ptr;

use crate::errno::{errno, set_errno};

/// A value, or the code for `errno`.
pub(crate) type Answer<R> = Result<R, c_int>;

/// The return value that means that `errno` has the reason.
pub(crate) trait Failure: Copy + PartialEq {
    const FAILURE: Self;
}

impl Failure for c_int {
    const FAILURE: c_int = -1;
}

impl Failure for c_long {
    const FAILURE: c_long = -1;
}

// ssize_t; on 64 bits another type than `c_long` only by name.
impl Failure for isize {
    const FAILURE: isize = -1;
}

impl Failure for *mut c_void {
    const FAILURE: *mut c_void = ptr::null_mut();
}

/// Turns what a call of the C library returned into an answer.
pub(crate) fn of<R: Failure>(given: R) -> Answer<R> {
    match given == R::FAILURE {
        true => Err(errno()),
        false => Ok(given),
    }
}

/// How a hook returns its result, with `errno` as it should be.
pub(crate) trait Give<R> {
    fn give(self, errno_before: c_int) -> R;
}

impl<R: Failure> Give<R> for Answer<R> {
    fn give(self, errno_before: c_int) -> R {
        match self {
            Ok(value) => {
                set_errno(errno_before);
                value
            }
            Err(code) => {
                set_errno(code);
                R::FAILURE
            }
        }
    }
}

/// The value itself, `errno` untouched: for functions that return their error.
pub(crate) struct Plain<R>(pub(crate) R);

impl<R> Give<R> for Plain<R> {
    fn give(self, errno_before: c_int) -> R {
        set_errno(errno_before);
        self.0
    }
}

/// Runs a hook's own part. It must not unwind, since above may be frames of C: a panic ends the
/// process.
pub(crate) fn run<R, G: Give<R>>(hook: impl FnOnce() -> G) -> R {
    extern "C" fn no_unwind<G, F: FnOnce() -> G>(hook: F) -> G {
        hook()
    }
    let before = errno();
    no_unwind(hook).give(before)
}

/// The code of an error that the runtime gave.
pub(crate) fn code(error: std::io::Error) -> c_int {
    error.raw_os_error().unwrap_or(libc::EIO)
}
