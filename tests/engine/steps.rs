//! What an unwinder finds at each instruction of a switch: a profiler's signal may come at any.
#![expect(
    unsafe_code,
    reason = "single steps through code, and unwinds in a handler"
)]

use std::arch::asm;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use greenhub::green_thread::{spawn_local, yield_now};

use test_support::child::alone;

/// Processor flag: a SIGTRAP after each instruction.
const STEP: i64 = 0x100;

static OVER: AtomicBool = AtomicBool::new(false);
static STEPS: AtomicUsize = AtomicUsize::new(0);
static FRAMES: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    fn _Unwind_Backtrace(
        one: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
}

extern "C" fn count(_: *mut c_void, _: *mut c_void) -> c_int {
    FRAMES.fetch_add(1, Ordering::Relaxed);
    0
}

fn unwind() {
    // SAFETY: `count` is called for each frame, with this argument.
    unsafe { _Unwind_Backtrace(count, std::ptr::null_mut()) };
}

extern "C" fn on_step(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    unwind();
    STEPS.fetch_add(1, Ordering::Relaxed);
    if OVER.load(Ordering::Relaxed) {
        // SAFETY: the kernel passes a valid ucontext to an SA_SIGINFO handler.
        let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
        context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !STEP;
    }
}

/// Has `on_step` called after each instruction that this OS thread runs from now on.
fn step() {
    // SAFETY: zeroed is a valid `sigaction`, the handler has the signature that
    // SA_SIGINFO asks for, and the flag has no effect but on the processor.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_step as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut());
        asm!("pushfq", "or qword ptr [rsp], {step}", "popfq", step = const STEP);
    }
}

fn look_at_each_instruction(name: &str, thread_locals: &str) {
    let environment = [("GREEN_HUBS", "1"), ("GREEN_THREAD_LOCALS", thread_locals)];
    alone(name, &environment, || {
        // The unwinder is loaded and warm.
        unwind();
        greenhub::run(|| {
            let neighbour = spawn_local(|| (0..4).for_each(|_| yield_now()));
            step();
            yield_now();
            spawn_local(yield_now).join().unwrap();
            yield_now();
            OVER.store(true, Ordering::Relaxed);
            neighbour.join().unwrap();
        });
        let (steps, frames) = (
            STEPS.load(Ordering::Relaxed),
            FRAMES.load(Ordering::Relaxed),
        );
        // Some switches, and most of the frames that a hub and a green thread have.
        assert!(steps > 500 && frames > 4 * steps, "{steps}: {frames}");
    })
    .well();
}

#[test]
fn an_unwinder_may_look_at_each_instruction_of_a_switch() {
    look_at_each_instruction(
        "steps::an_unwinder_may_look_at_each_instruction_of_a_switch",
        "shared",
    );
}

#[test]
fn an_unwinder_may_look_at_each_instruction_of_a_switch_of_the_base() {
    look_at_each_instruction(
        "steps::an_unwinder_may_look_at_each_instruction_of_a_switch_of_the_base",
        "auto",
    );
}
