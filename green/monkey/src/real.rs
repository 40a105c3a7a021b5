//! The functions that ours stand before: the C library's, or another interposer's.
//!
//! They are looked up before `main`, so that a hook that is first called in a signal handler finds
//! its own. What is called earlier still looks for itself.
#![expect(unsafe_code, reason = "symbols are looked up by name")]

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// A symbol and what it means after us.
#[derive(Debug)]
pub(crate) struct Real {
    pub(crate) name: &'static CStr,
    at: AtomicPtr<c_void>,
    /// Whether the self-test has come through our function.
    pub(crate) seen: AtomicBool,
}

impl Real {
    pub(crate) const fn new(name: &'static CStr) -> Real {
        Real {
            name,
            at: AtomicPtr::new(ptr::null_mut()),
            seen: AtomicBool::new(false),
        }
    }

    /// Null if it was not looked up yet.
    #[inline(always)]
    pub(crate) fn known(&self) -> *mut c_void {
        self.at.load(Ordering::Relaxed)
    }

    /// Null if nobody else has it.
    #[inline(always)]
    pub(crate) fn get(&self) -> *mut c_void {
        let at = self.known();
        if at.is_null() { self.look_up() } else { at }
    }

    #[cold]
    pub(crate) fn look_up(&self) -> *mut c_void {
        let name = self.name.as_ptr();
        // Of what glibc has twice, the newer one: on x86-64 condition variables.
        let versioned = self.name.to_bytes().starts_with(b"pthread_cond_");
        // SAFETY: names end with a null byte.
        let at = unsafe {
            let newer = match versioned {
                true => libc::dlvsym(libc::RTLD_NEXT, name, c"GLIBC_2.3.2".as_ptr()),
                false => ptr::null_mut(),
            };
            match newer.is_null() {
                true => libc::dlsym(libc::RTLD_NEXT, name),
                false => newer,
            }
        };
        self.at.store(at, Ordering::Relaxed);
        at
    }
}

/// Looks all up, before `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = {
    extern "C" fn look_up() {
        for hook in crate::hooks::all() {
            hook.real.look_up();
        }
    }
    look_up
};

/// Called for a symbol that only we have: the C library is older than what it was linked with.
#[cold]
pub(crate) fn is_missing() -> ! {
    std::process::abort()
}
