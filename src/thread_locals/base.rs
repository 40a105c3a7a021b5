//! The base register, and a call on another base than the one that is set.
//!
//! The compiler may take the address of a thread-local once for a whole function.
//! So a function that changes the base does nothing else than that and a call of
//! one that is never inlined.
#![expect(unsafe_code, reason = "the base is a register")]

use std::arch::asm;

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
