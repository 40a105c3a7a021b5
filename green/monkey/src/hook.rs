//! One function of ours that stands before another, and how such are defined.

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
/// call that one as `real::name`. Behind a plus sign stands a hook whose function behind is in [`behind`](crate::behind).
macro_rules! hooks {
    (
        $($gate:ident($switches:expr) fn $name:ident($($arg:ident: $type:ty),*) -> $ret:ty = $own:path;)*
        $(+ $gate_too:ident($switches_too:expr)
            fn $known:ident($($arg_too:ident: $type_too:ty),*) -> $ret_too:ty = $own_too:path;)*
    ) => {
        functions! {
            [$($known in behind)*]
            $(fn $name($($arg: $type),*) -> $ret;)*
        }
        entries! {
            $($gate($switches) fn $name($($arg: $type),*) -> $ret = $own;)*
            $($gate_too($switches_too) fn $known($($arg_too: $type_too),*) -> $ret_too = $own_too;)*
        }
    };
}

/// What the linker puts before the functions of `real`.
macro_rules! entries {
    ($($gate:ident($switches:expr) fn $name:ident($($arg:ident: $type:ty),*) -> $ret:ty = $own:path;)*) => {
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

        pub(crate) static HOOKS: &[crate::hook::Hook] = &[
            $(
                crate::hook::Hook {
                    name: symbols::$name.name,
                    switches: $switches,
                    real: &symbols::$name,
                    ours: || $name as *const (),
                },
            )*
        ];
    };
}
