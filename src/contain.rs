//! Users' callbacks, whose panics nobody could receive: a panic is caught and dropped.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{mem, process};

/// Runs `f`, and says whether it came to its end. What it panics with reaches
/// nobody, apart from the panic hook; not even if dropping that panics in turn.
pub(crate) fn contain(f: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
        return true;
    };
    if let Err(endless) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(endless);
    }
    false
}

/// Runs `f`, whose panic ends the process with `message`, as std ends it.
pub(crate) fn or_abort(message: &str, f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        // Its drop might panic.
        mem::forget(payload);
        let _ = writeln!(io::stderr(), "fatal runtime error: {message}, aborting");
        process::abort();
    }
}
