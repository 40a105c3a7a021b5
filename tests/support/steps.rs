//! A look at each instruction that an OS thread runs: what a signal handler meets at any moment.
#![expect(unsafe_code, reason = "single steps through code, by signals")]

use std::arch::asm;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Processor flag: a SIGTRAP after each instruction.
const STEP: i64 = 0x100;

static LOOK: OnceLock<fn()> = OnceLock::new();
static OVER: AtomicBool = AtomicBool::new(false);

extern "C" fn on_step(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    if let Some(look) = LOOK.get() {
        look();
    }
    if OVER.load(Ordering::Relaxed) {
        // SAFETY: the kernel passes a valid ucontext to an SA_SIGINFO handler.
        let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
        context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !STEP;
    }
}

/// Runs `body`, and calls `look` in a signal handler after each instruction that this OS thread runs meanwhile.
///
/// # Panics
///
/// At a second call in a process.
pub fn at_each_instruction(look: fn(), body: impl FnOnce()) {
    LOOK.set(look).expect("one look in a process");
    // SAFETY: zeroed is a valid `sigaction`, the handler has the signature that
    // SA_SIGINFO asks for, and the flag has no effect but on the processor.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_step as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut());
        asm!("pushfq", "or qword ptr [rsp], {step}", "popfq", step = const STEP);
    }
    body();
    OVER.store(true, Ordering::Relaxed);
}
