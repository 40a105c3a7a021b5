//! The functions that ours stand before: the C library's, or another interposer's.
//!
//! They are looked up before `main`, so that a hook that is first called in a signal handler finds its own
//! ([`hooks`](crate::hooks)). What is called earlier still looks for itself.
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

/// Called for a symbol that only we have: the C library is older than what it was linked with.
#[cold]
pub(crate) fn is_missing() -> ! {
    std::process::abort()
}

/// Defines functions behind: `fn name(arguments) -> type;`. They are called as `real::name`. In the brackets stand those that
/// another module of this crate has defined.
macro_rules! functions {
    (
        [$($known:ident in $home:ident)*]
        $(fn $name:ident($($arg:ident: $type:ty),*) -> $ret:ty;)*
    ) => {
        /// The functions behind.
        #[allow(dead_code, unused_imports, reason = "some are called by their hook alone")]
        pub(crate) mod real {
            use super::*;

            $(pub(crate) use crate::$home::real::$known;)*

            $(
                /// # Safety
                ///
                /// That of the C library's.
                #[inline(always)]
                pub(crate) unsafe fn $name($($arg: $type),*) -> $ret {
                    type Function = unsafe extern "C-unwind" fn($($type),*) -> $ret;
                    let at = super::symbols::$name.get();
                    if at.is_null() {
                        crate::real::is_missing();
                    }
                    // SAFETY: the symbol has this signature; the rest is the caller's.
                    unsafe {
                        std::mem::transmute::<*mut std::ffi::c_void, Function>(at)($($arg),*)
                    }
                }
            )*
        }

        #[allow(non_upper_case_globals, unused_imports, reason = "named as the functions are")]
        pub(crate) mod symbols {
            use crate::real::Real;

            $(pub(crate) use crate::$home::symbols::$known;)*

            $(
                pub(crate) static $name: Real = Real::new(
                    match std::ffi::CStr::from_bytes_with_nul(
                        concat!(stringify!($name), "\0").as_bytes(),
                    ) {
                        Ok(name) => name,
                        Err(_) => panic!("a name ends with a null byte"),
                    },
                );
            )*
        }
    };
}
