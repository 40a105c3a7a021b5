//! What valgrind is told: where stacks lie, so that it recognises a switch between them.
//!
//! Outside valgrind the request is six instructions without effect
//! (valgrind.h, "client requests").
#![expect(unsafe_code, reason = "a client request is assembly")]

/// Registers the memory from `bottom` to `top` as a stack, for ever.
#[cfg(target_arch = "x86_64")]
pub(crate) fn register_stack(bottom: usize, top: usize) {
    const STACK_REGISTER: usize = 0x1501;
    let request = [STACK_REGISTER, bottom, top, 0, 0, 0];
    // SAFETY: the rotations add up to a full turn, and the exchange is of a
    // register with itself; valgrind reads the request and sets `rdx`.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") request.as_ptr(),
            inlateout("rdx") 0usize => _,
            inlateout("rdi") 0usize => _,
        );
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) fn register_stack(bottom: usize, top: usize) {
    const STACK_REGISTER: usize = 0x1501;
    let request = [STACK_REGISTER, bottom, top, 0, 0, 0];
    // SAFETY: as above; valgrind sets `x3`.
    unsafe {
        std::arch::asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            in("x4") request.as_ptr(),
            inlateout("x3") 0usize => _,
            inlateout("x12") 0usize => _,
        );
    }
}
