//! The switch on x86-64 (System V ABI), and a fiber's first frame.
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
            "lea rax, [rip + 2f]",
            "mov [rdi], rsp",
            "mov [rdi + 8], rax",
            "mov [rdi + 16], rbp",
            "mov [rdi + 24], rbx",
            "jmp {across}",
            "2:",
            across = sym $across,
            inlateout("rdx") $word => theirs,
            in("rdi") $save,
            in("rsi") $load,
            lateout("r12") _,
            lateout("r13") _,
            lateout("r14") _,
            lateout("r15") _,
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
/// that a function must keep but `rbx` and `rbp`, which it does not let us name.
/// MXCSR and the x87 control word belong to the OS thread. The other side is
/// entered by `jmp`: a `ret` would be predicted wrong each time.
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
/// As [`switch`]; the kernel lets programs set the base.
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
        ".cfi_undefined rip",
        "mov rax, [rsi + 8]",
        "mov rsp, [rsi]",
        "mov rbp, [rsi + 16]",
        "mov rbx, [rsi + 24]",
        "jmp rax",
        ".cfi_endproc",
    )
}

/// The same, with the base that lies `BASE` bytes after `load`.
#[unsafe(naked)]
unsafe extern "C" fn across_with_base<const BASE: usize>() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        "mov rax, [rsi + 8]",
        "mov rsp, [rsi]",
        "mov rbp, [rsi + 16]",
        "mov rbx, [rsi + 24]",
        "mov rcx, [rsi + {base}]",
        "wrfsbase rcx",
        "jmp rax",
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
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rsp, rdi",
        "mov rdi, rdx",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
    )
}

/// A fiber's outermost frame. Unwinders end here, by the missing return address,
/// and so do those that follow frame pointers, by the zero in `rbp`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn begin<F: First>() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        "mov rdi, rbx",
        "call {first}",
        "ud2",
        ".cfi_endproc",
        first = sym F::first,
    )
}
