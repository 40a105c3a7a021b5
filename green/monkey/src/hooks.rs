//! The functions that the linker puts before the C library's, one family in each file.
//!
//! They keep next to nothing about a descriptor: what they need to know they ask the kernel, when they
//! would have to wait, and note some of it for half a second ([`terms`]). Each tries first, without waiting; if it would have to wait, it parks the
//! green thread until another try is worth it. Where the thread must not be parked they block the
//! OS thread, as if nothing were patched.

use std::ffi::CStr;

use crate::Patch;
use crate::real::Real;

/// A function of ours that stands before another.
#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) name: &'static CStr,
    pub(crate) switches: Patch,
    pub(crate) real: &'static Real,
    pub(crate) ours: fn() -> *const (),
}

/// Defines hooks: `gate(switches) fn name(arguments) -> type = own;`. On a thread that the gate
/// lets in, `own` does the work; elsewhere the function behind it is called at once. Others can
/// call that one as `real::name`.
macro_rules! hooks {
    ($($gate:ident($switches:expr) fn $name:ident($($arg:ident: $type:ty),*) -> $ret:ty = $own:path;)*) => {
        /// The functions behind.
        #[allow(dead_code, reason = "some are called by their hook alone")]
        pub(crate) mod real {
            #[allow(unused_imports, reason = "the types of some arguments")]
            use super::*;

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

        #[expect(non_upper_case_globals, reason = "named as the functions are")]
        mod symbols {
            use crate::real::Real;

            $(
                pub(super) static $name: Real = Real::new(
                    match std::ffi::CStr::from_bytes_with_nul(
                        concat!(stringify!($name), "\0").as_bytes(),
                    ) {
                        Ok(name) => name,
                        Err(_) => panic!("a name ends with a null byte"),
                    },
                );
            )*
        }

        $(
            /// # Safety
            ///
            /// That of the C library's.
            // Never inlined, so that nobody who waits keeps the address of the gate's thread-local.
            #[inline(never)]
            #[unsafe(no_mangle)]
            pub unsafe extern "C-unwind" fn $name($($arg: $type),*) -> $ret {
                type Function = unsafe extern "C-unwind" fn($($type),*) -> $ret;
                let at = symbols::$name.known();
                if crate::gate::passing::$gate($switches) && !at.is_null() {
                    // SAFETY: the symbol has this signature; the rest is the caller's.
                    return unsafe {
                        std::mem::transmute::<*mut std::ffi::c_void, Function>(at)($($arg),*)
                    };
                }
                // SAFETY: handed on to the caller.
                unsafe { entered::$name($($arg),*) }
            }
        )*

        /// Each hook beyond the look of its gate. On their own, so that a call that passes through saves no register.
        mod entered {
            #[allow(unused_imports, reason = "the types of some arguments")]
            use super::*;

            $(
                /// # Safety
                ///
                /// That of the C library's.
                #[inline(never)]
                pub(super) unsafe extern "C-unwind" fn $name($($arg: $type),*) -> $ret {
                    if crate::gate::$gate($switches, &symbols::$name) {
                        // SAFETY: handed on to the caller.
                        return crate::answer::run(|| unsafe { $own($($arg),*) });
                    }
                    // SAFETY: as above.
                    unsafe { real::$name($($arg),*) }
                }
            )*
        }

        pub(crate) static HOOKS: &[crate::hooks::Hook] = &[
            $(
                crate::hooks::Hook {
                    name: symbols::$name.name,
                    switches: $switches,
                    real: &symbols::$name,
                    ours: || $name as *const (),
                },
            )*
        ];
    };
}

mod accept;
mod close;
mod command;
mod cond;
mod connect;
mod copy;
mod dns;
mod epoll;
mod futex;
mod iovec;
mod late;
mod locks;
mod message;
mod option;
mod parked;
mod poll;
mod process;
mod read_write;
mod receive;
mod select;
mod send;
mod terms;
mod thread;
mod time;
mod vfork;
mod waiting;

pub(crate) use cond::find_clock;
pub(crate) use late::start as start_late_wakes;

/// Every hook.
pub(crate) fn all() -> impl Iterator<Item = &'static Hook> {
    [
        accept::HOOKS,
        close::HOOKS,
        cond::HOOKS,
        connect::HOOKS,
        copy::HOOKS,
        dns::HOOKS,
        epoll::HOOKS,
        futex::HOOKS,
        locks::HOOKS,
        message::HOOKS,
        poll::HOOKS,
        process::HOOKS,
        read_write::HOOKS,
        receive::HOOKS,
        select::HOOKS,
        send::HOOKS,
        terms::HOOKS,
        thread::HOOKS,
        time::HOOKS,
        vfork::HOOKS,
    ]
    .into_iter()
    .flatten()
}
