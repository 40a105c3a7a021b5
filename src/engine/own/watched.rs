//! What ThreadSanitizer and AddressSanitizer are told of switches: nothing, unless the build
//! says `--cfg green_sanitize` and which one, as `.ci/sanitize` does.
//!
//! ThreadSanitizer keeps a history of each side, AddressSanitizer the bounds of the stack
//! in use. Both must hear of a switch just before it, the latter also just after. Both keep
//! what they know of an OS thread in its thread-locals, which are shared then.
#![expect(unsafe_code, reason = "the interface of the sanitizers")]

#[cfg(green_sanitize = "address")]
pub(super) use address::{Left, Watched};
#[cfg(not(green_sanitize))]
pub(super) use nothing::{Left, Watched};
#[cfg(green_sanitize = "thread")]
pub(super) use thread::{Left, Watched};

#[cfg(not(green_sanitize))]
mod nothing {
    /// One side of a switch, as a sanitizer knows it.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Watched;

    /// What the side is to tell that a switch comes back to.
    pub(crate) struct Left;

    impl Watched {
        /// Of the OS thread itself.
        #[inline(always)]
        pub(crate) fn hub() -> Watched {
            Watched
        }

        /// Of a fiber that will run on the stack from `bottom` to `top`.
        #[inline(always)]
        pub(crate) fn fiber(_bottom: usize, _top: usize) -> Watched {
            Watched
        }

        /// A switch to this side follows; the one that is left is `over` or not.
        ///
        /// # Safety
        ///
        /// It does, and no call before it.
        #[inline(always)]
        pub(crate) unsafe fn come(self, _over: bool) -> Left {
            Left
        }

        /// The fiber is not used any more.
        ///
        /// # Safety
        ///
        /// It is not.
        #[inline(always)]
        pub(crate) unsafe fn end(self) {}
    }

    impl Left {
        /// Of a fiber before its first leg.
        pub(crate) const NOTHING: Left = Left;

        /// A switch has come back here.
        ///
        /// # Safety
        ///
        /// It has just done so.
        #[inline(always)]
        pub(crate) unsafe fn come_back(self) {}
    }
}

#[cfg(green_sanitize = "thread")]
mod thread {
    use std::ffi::{c_uint, c_void};

    // sanitizer/tsan_interface.h
    unsafe extern "C" {
        fn __tsan_get_current_fiber() -> *mut c_void;
        fn __tsan_create_fiber(flags: c_uint) -> *mut c_void;
        fn __tsan_destroy_fiber(fiber: *mut c_void);
        fn __tsan_switch_to_fiber(fiber: *mut c_void, flags: c_uint);
    }

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Watched(*mut c_void);

    pub(crate) struct Left;

    impl Watched {
        pub(crate) fn hub() -> Watched {
            // SAFETY: called outside any fiber.
            Watched(unsafe { __tsan_get_current_fiber() })
        }

        pub(crate) fn fiber(_bottom: usize, _top: usize) -> Watched {
            // SAFETY: one may be made at any time.
            Watched(unsafe { __tsan_create_fiber(0) })
        }

        #[inline(always)]
        pub(crate) unsafe fn come(self, _over: bool) -> Left {
            // What was done before a switch was done before what comes after it: flags of 0.
            // SAFETY: handed on to the caller.
            unsafe { __tsan_switch_to_fiber(self.0, 0) };
            Left
        }

        pub(crate) unsafe fn end(self) {
            // SAFETY: handed on to the caller.
            unsafe { __tsan_destroy_fiber(self.0) };
        }
    }

    impl Left {
        pub(crate) const NOTHING: Left = Left;

        #[inline(always)]
        pub(crate) unsafe fn come_back(self) {}
    }
}

#[cfg(green_sanitize = "address")]
mod address {
    use std::ffi::c_void;
    use std::mem::MaybeUninit;
    use std::ptr;

    // sanitizer/common_interface_defs.h, sanitizer/asan_interface.h
    unsafe extern "C" {
        fn __sanitizer_start_switch_fiber(
            left: *mut *mut c_void,
            bottom: *const c_void,
            bytes: usize,
        );
        fn __sanitizer_finish_switch_fiber(
            left: *mut c_void,
            bottom: *mut *const c_void,
            bytes: *mut usize,
        );
        fn __asan_unpoison_memory_region(at: *const c_void, bytes: usize);
    }

    /// Where its stack is.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Watched {
        bottom: *const c_void,
        bytes: usize,
    }

    /// The frames that are kept apart from the stack, to find uses after a return.
    pub(crate) struct Left(*mut c_void);

    thread_local! {
        static OWN_STACK: Watched = own_stack();
    }

    fn own_stack() -> Watched {
        let mut attributes = MaybeUninit::uninit();
        let (mut bottom, mut bytes) = (ptr::null_mut(), 0);
        // SAFETY: the attributes are filled before they are read, and freed.
        unsafe {
            let got = libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr());
            assert_eq!(got, 0, "an OS thread knows its stack");
            libc::pthread_attr_getstack(attributes.as_ptr(), &mut bottom, &mut bytes);
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
        }
        Watched { bottom, bytes }
    }

    impl Watched {
        pub(crate) fn hub() -> Watched {
            OWN_STACK.with(|own| *own)
        }

        pub(crate) fn fiber(bottom: usize, top: usize) -> Watched {
            Watched {
                bottom: bottom as *const c_void,
                bytes: top - bottom,
            }
        }

        #[inline(always)]
        pub(crate) unsafe fn come(self, over: bool) -> Left {
            let mut left = ptr::null_mut();
            let keep = if over { ptr::null_mut() } else { &raw mut left };
            // SAFETY: handed on to the caller.
            unsafe { __sanitizer_start_switch_fiber(keep, self.bottom, self.bytes) };
            Left(left)
        }

        pub(crate) unsafe fn end(self) {
            // The frames that it did not return from are still marked.
            // SAFETY: handed on to the caller.
            unsafe { __asan_unpoison_memory_region(self.bottom, self.bytes) };
        }
    }

    impl Left {
        pub(crate) const NOTHING: Left = Left(ptr::null_mut());

        #[inline(always)]
        pub(crate) unsafe fn come_back(self) {
            // SAFETY: handed on to the caller.
            unsafe { __sanitizer_finish_switch_fiber(self.0, ptr::null_mut(), ptr::null_mut()) };
        }
    }
}
