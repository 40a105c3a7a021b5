//! The switch on aarch64 (AAPCS64), and a fiber's first frame.
#![expect(unsafe_code, reason = "the switch is assembly")]

use std::arch::{asm, naked_asm};

use super::context::{Context, First};

/// The text of a switch, which goes on in `across`.
macro_rules! switch_by {
    ($across:expr, $save:expr, $load:expr, $word:expr) => {{
        let theirs;
        // The stack pointer comes back as it was left, and every register that may
        // differ then is an output.
        asm!(
            "mov x9, sp",
            "adr x10, 2f",
            "stp x9, x10, [x0]",
            "stp x29, x19, [x0, #16]",
            "b {across}",
            // `bti j`, for programs that mark where branches may lead.
            "2: hint #36",
            across = sym $across,
            inlateout("x2") $word => theirs,
            in("x0") $save,
            in("x1") $load,
            lateout("x20") _,
            lateout("x21") _,
            lateout("x22") _,
            lateout("x23") _,
            lateout("x24") _,
            lateout("x25") _,
            lateout("x26") _,
            lateout("x27") _,
            lateout("x28") _,
            clobber_abi("C"),
        );
        theirs
    }};
}

/// Leaves the running side, to go on from `save`, for the one that `load`
/// describes, and hands it `word`. Returns when somebody switches back, with
/// the word that they hand over.
///
/// The compiler saves what it needs of the registers that are named as lost: all
/// that a function must keep but `x19` and `x29`, which it does not let us name.
/// FPCR belongs to the OS thread.
///
/// # Safety
///
/// `load` was filled by [`Context::new`], on a stack that nobody else uses, or by
/// a switch on this OS thread, and has not been loaded since. Both addresses are
/// valid until the switch is done, and `save` until somebody has loaded it.
#[inline(always)]
pub(super) unsafe fn switch(save: *mut Context, load: *const Context, word: usize) -> usize {
    // SAFETY: handed on to the caller.
    unsafe { switch_by!(across, save, load, word) }
}

/// The same, where each side has thread-locals of its own: their base lies `BASE`
/// bytes after `load`.
///
/// # Safety
///
/// As [`switch`].
#[inline(always)]
pub(super) unsafe fn switch_base<const BASE: usize>(
    save: *mut Context,
    load: *const Context,
    word: usize,
) -> usize {
    // SAFETY: handed on to the caller. Both sides see one base for ever.
    unsafe { switch_by!(across_with_base::<BASE>, save, load, word) }
}

/// The part of a switch in which the stack pointer is of one side and code still of
/// the other. A profiler's signal may come here, so unwinders end here, by the missing
/// return address: in the function that switches they would read the wrong stack.
#[unsafe(naked)]
unsafe extern "C" fn across() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined x30",
        "ldp x9, x10, [x1]",
        "ldp x29, x19, [x1, #16]",
        "mov sp, x9",
        "br x10",
        ".cfi_endproc",
    )
}

/// The same, with the base that lies `BASE` bytes after `load`.
#[unsafe(naked)]
unsafe extern "C" fn across_with_base<const BASE: usize>() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined x30",
        "ldp x9, x10, [x1]",
        "ldp x29, x19, [x1, #16]",
        "mov sp, x9",
        "ldr x11, [x1, #{base}]",
        "msr tpidr_el0, x11",
        "br x10",
        ".cfi_endproc",
        base = const BASE,
    )
}

/// Calls `function` with `argument` on the stack that ends at `top`, a multiple of 16.
///
/// Unwinders come from there to the caller's stack by the frame pointer. That a frame
/// may then lie below the one that it called, debuggers accept of a signal's frame alone.
///
/// # Safety
///
/// Nobody uses that stack below `top` until the call returns, by which `function` ends.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn call_on(
    top: usize,
    function: unsafe extern "C" fn(usize),
    argument: usize,
) {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_signal_frame",
        // `bti c`, as above.
        "hint #34",
        "stp x29, x30, [sp, #-16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x29, -16",
        ".cfi_offset x30, -8",
        "mov x29, sp",
        ".cfi_def_cfa_register x29",
        "mov sp, x0",
        "mov x0, x2",
        "blr x1",
        "mov sp, x29",
        ".cfi_def_cfa_register sp",
        "ldp x29, x30, [sp], #16",
        ".cfi_def_cfa_offset 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
    )
}

/// A fiber's outermost frame. Unwinders end here, by the missing return address,
/// and so do those that follow frame pointers, by the zero in `x29`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn begin<F: First>() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined x30",
        "hint #36",
        "mov x0, x19",
        "bl {first}",
        "brk #1",
        ".cfi_endproc",
        first = sym F::first,
    )
}
