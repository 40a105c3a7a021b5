//! vfork(2): the child has our memory and our stack, and its parent stands still until it calls exec or ends. It must not
//! park: that would be its parent's green thread. So whatever the child calls passes through.
//!
//! The return address would be overwritten by what the child calls, so it stays in a register over the system call.
#![expect(unsafe_code, reason = "a function that returns twice")]

use std::arch::naked_asm;

use libc::pid_t;

use crate::Patch;
use crate::errno::set_errno;
use crate::gate;
use crate::hook::Hook;
use crate::real::Real;

static SYMBOL: Real = Real::new(c"vfork");

pub(crate) static HOOKS: &[Hook] = &[Hook {
    name: SYMBOL.name,
    switches: Patch::SUBPROCESS.union(Patch::OS),
    real: &SYMBOL,
    ours: || vfork as *const (),
}];

/// # Safety
///
/// That of the C library's.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vfork() -> pid_t {
    naked_asm!(
        "sub rsp, 8",
        "call {begin}",
        "add rsp, 8",
        "pop rdi",
        "mov eax, {vfork}",
        "syscall",
        "push rdi",
        "test rax, rax",
        "jz 2f",
        "mov rdi, rax",
        "jmp {end}",
        "2: ret",
        begin = sym gate::begin_passing,
        end = sym end,
        vfork = const libc::SYS_vfork,
    )
}

/// # Safety
///
/// That of the C library's.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vfork() -> pid_t {
    naked_asm!(
        "stp x29, x30, [sp, #-16]!",
        "bl {begin}",
        "ldp x29, x30, [sp], #16",
        "mov x0, #{flags}",
        "mov x1, #0",
        "mov x8, #{clone}",
        "svc #0",
        "cbz x0, 2f",
        "b {end}",
        "2: ret",
        begin = sym gate::begin_passing,
        end = sym end,
        flags = const libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
        clone = const libc::SYS_clone,
    )
}

/// In the parent, with what the kernel said.
extern "C" fn end(answer: isize) -> pid_t {
    gate::end_passing();
    if answer < 0 {
        set_errno(-answer as i32);
        return -1;
    }
    answer as pid_t
}
