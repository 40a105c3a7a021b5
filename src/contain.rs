//! Users' callbacks, whose panics nobody could receive: a panic is caught and dropped.

use std::fmt::Display;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{mem, process};

/// Runs `f`, and returns whether it came to its end. If it panics, only the panic hook is told,
/// even if dropping the payload panics in turn.
pub(crate) fn contain(f: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
        return true;
    };
    if let Err(endless) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(endless);
    }
    false
}

/// Runs `f`. If it panics, the process is aborted with `message`, as std would do it.
pub(crate) fn or_abort(message: &str, f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        // Its drop might panic.
        mem::forget(payload);
        abort(message);
    }
}

/// Aborts the process with `message`, as std would do it.
pub(crate) fn abort(message: impl Display) -> ! {
    let _ = writeln!(io::stderr(), "fatal runtime error: {message}, aborting");
    process::abort();
}
