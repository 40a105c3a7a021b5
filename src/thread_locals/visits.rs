//! Code of a green thread that runs with the OS thread's thread-locals for a moment.
#![expect(unsafe_code, reason = "changes the base around a call")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::base;
use super::block::Block;
use super::layout;

thread_local! {
    /// On an OS thread's base: that of the green thread which has left it there.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

/// Of the OS thread's base, which is set: notes which green thread's base was left.
#[inline(never)]
fn replace_left(base: usize) -> usize {
    LEFT.replace(base)
}

/// On a green thread that has thread-locals of its own, calls `f` with those of the OS thread.
/// Elsewhere it only calls `f`, which must not wait.
///
/// # Panics
///
/// As `f` does.
pub(crate) fn on_os_thread<R>(f: impl FnOnce() -> R) -> R {
    let Some((layout, green)) = Block::running() else {
        return f();
    };
    let os = green.os_base(layout);
    layout.copy_words(green.base(), os);
    // SAFETY: the running OS thread's own block.
    let outcome = unsafe {
        base::call_on(os, || {
            let outer = replace_left(green.base());
            // An unwind is counted by the thread-locals of where it began.
            let outcome = catch_unwind(AssertUnwindSafe(f));
            replace_left(outer);
            outcome
        })
    };
    layout.copy_words(os, green.base());
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Inside [`on_os_thread`], calls `f` with the green thread's own thread-locals: for functions of
/// users that a library calls. Elsewhere it only calls `f`. `f` must not wait.
///
/// # Panics
///
/// As `f` does.
#[doc(hidden)]
pub fn on_green_thread<R>(f: impl FnOnce() -> R) -> R {
    let Some(layout) = layout::current() else {
        return f();
    };
    if Block::running().is_some() {
        return f();
    }
    let green = replace_left(0);
    if green == 0 {
        return f();
    }
    let os = base::get();
    layout.copy_words(os, green);
    // SAFETY: the block of the green thread that runs here and has left it.
    let outcome = unsafe { base::call_on(green, || catch_unwind(AssertUnwindSafe(f))) };
    layout.copy_words(green, os);
    replace_left(green);
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}
