//! The base register, and code that runs on another base than the one that is set.
//!
//! The compiler may take the address of a thread-local once for a whole function.
//! So a function that changes the base does nothing else than that and a call of
//! one that is never inlined.
#![expect(unsafe_code, reason = "the base is a register")]

use std::arch::asm;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::block::Block;
use super::layout;
use super::layout::Layout;

/// The running thread's base.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn get() -> usize {
    let base;
    // SAFETY: the ABI has the base point to a word that is its address.
    unsafe { asm!("mov {}, fs:[0]", out(reg) base, options(nostack, preserves_flags)) };
    base
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(crate) fn get() -> usize {
    let base;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) base, options(nostack, preserves_flags)) };
    base
}

/// Sets it.
///
/// # Safety
///
/// As the module above says: the function, and those that it may be inlined into,
/// use no thread-local. On x86-64 the kernel allows the instruction.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn set(base: usize) {
    // SAFETY: handed on to the caller.
    unsafe { asm!("wrfsbase {}", in(reg) base, options(nostack, preserves_flags)) };
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(super) unsafe fn set(base: usize) {
    // SAFETY: handed on to the caller.
    unsafe { asm!("msr tpidr_el0, {}", in(reg) base, options(nostack, preserves_flags)) };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn get() -> usize {
    0
}

/// # Safety
///
/// Never called: there is no proof for this architecture.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) unsafe fn set(_base: usize) {}

/// Calls `f` on `base`, and sets the base that was set before again.
///
/// # Safety
///
/// `base` is a whole block's, and nobody else uses it meanwhile.
#[inline(never)]
pub(super) unsafe fn call_on<R>(base: usize, f: impl FnOnce() -> R) -> R {
    let before = get();
    // SAFETY: this function uses no thread-local, nor does whoever it may be
    // inlined into, since it is not. `call` is not inlined either.
    unsafe {
        set(base);
        let value = call(f);
        set(before);
        value
    }
}

/// What is not inlined cannot lend the address of a thread-local to its caller.
#[inline(never)]
fn call<R>(f: impl FnOnce() -> R) -> R {
    f()
}

thread_local! {
    /// On an OS thread's base: that of the green thread which has left it there.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

/// Of the OS thread's base, which is set: notes which green thread's base was left.
#[inline(never)]
pub(super) fn replace_left(base: usize) -> usize {
    LEFT.replace(base)
}

/// Calls `f` with the thread-locals of the OS thread, on a green thread that has
/// some of its own. Elsewhere it only calls `f`.
///
/// For libraries that keep something large for each thread, and are called for a
/// moment. `f` must not wait: [`without_waiting`](crate::without_waiting) sees to it.
///
/// # Panics
///
/// As `f` does.
pub fn on_os_thread<R>(f: impl FnOnce() -> R) -> R {
    let Some((layout, green)) = running_block() else {
        return f();
    };
    let os = green.os_base(layout);
    layout.copy_words(green.base(), os);
    // SAFETY: the running OS thread's own block.
    let outcome = unsafe {
        call_on(os, || {
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

/// Calls `f` with the green thread's own thread-locals, inside of what it called by
/// [`on_os_thread`]: for functions of users that a library calls. Elsewhere it only
/// calls `f`. `f` must not wait.
///
/// # Panics
///
/// As `f` does.
pub fn on_green_thread<R>(f: impl FnOnce() -> R) -> R {
    let Some(layout) = layout() else { return f() };
    if running_block().is_some() {
        return f();
    }
    let green = replace_left(0);
    if green == 0 {
        return f();
    }
    let os = get();
    layout.copy_words(os, green);
    // SAFETY: the block of the green thread that runs here and has left it.
    let outcome = unsafe { call_on(green, || catch_unwind(AssertUnwindSafe(f))) };
    layout.copy_words(green, os);
    replace_left(green);
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// The block whose base is set, if it is a green thread's.
pub(super) fn running_block() -> Option<(&'static Layout, Block)> {
    let layout = layout()?;
    Some((layout, Block::at(layout, get())?))
}
