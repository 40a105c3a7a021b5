//! setuid(2) and the like: glibc makes every OS thread do the call, by a signal.
//!
//! The signal's handler clears a mark in the running thread's descriptor, and the caller waits
//! until the mark is cleared in all of them. The mark is in the OS thread's descriptor, so the
//! handler must see that one even while a green thread runs.
#![expect(unsafe_code, reason = "a signal handler that calls another")]

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::base::set;
use super::block::Block;

/// SIGSETXID of glibc, which no public function takes.
const SIGNAL: c_int = 33;

/// As the kernel has it (rt_sigaction(2)).
#[derive(Clone, Copy)]
#[repr(C)]
struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

static GLIBCS: AtomicUsize = AtomicUsize::new(0);

/// For the process, once: glibc installs its own handler at the first start of a
/// thread, and never again.
pub(super) fn install() -> Result<(), String> {
    let mut action = MaybeUninit::<Action>::zeroed();
    let bytes = size_of::<u64>();
    // SAFETY: the kernel writes what it has, and reads what it has written but for
    // the handler, which has the signature that SA_SIGINFO asks for.
    unsafe {
        let null = std::ptr::null::<Action>();
        let told = libc::syscall(
            libc::SYS_rt_sigaction,
            SIGNAL,
            null,
            action.as_mut_ptr(),
            bytes,
        );
        let mut action = action.assume_init();
        let has_info = action.flags & libc::SA_SIGINFO as u64 != 0;
        if told != 0 || action.handler <= 1 || !has_info {
            return Err("glibc does not handle the signal by which it changes users".to_owned());
        }
        if action.handler == handle as *const () as usize {
            return Ok(());
        }
        GLIBCS.store(action.handler, Ordering::Release);
        action.handler = handle as *const () as usize;
        action.flags |= libc::SA_ONSTACK as u64;
        let null = std::ptr::null_mut::<Action>();
        match libc::syscall(
            libc::SYS_rt_sigaction,
            SIGNAL,
            &raw const action,
            null,
            bytes,
        ) {
            0 => Ok(()),
            _ => Err("the handler of glibc's signal could not be replaced".to_owned()),
        }
    }
}

unsafe extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    match Block::running() {
        None => call_glibcs(signal, info, context),
        Some((layout, green)) => {
            // SAFETY: this function uses no thread-local, and is inlined nowhere. The
            // handler does not allocate.
            unsafe {
                set(green.os_base(layout));
                call_glibcs(signal, info, context);
                set(green.base());
            }
        }
    }
}

#[inline(never)]
fn call_glibcs(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let glibcs = GLIBCS.load(Ordering::Acquire);
    // SAFETY: installed with SA_SIGINFO, hence of this signature.
    unsafe {
        std::mem::transmute::<usize, extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void)>(
            glibcs,
        )(signal, info, context);
    }
}
