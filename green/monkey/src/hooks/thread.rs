//! pthread_join(3). Threads that are started stay OS threads.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::{c_int, c_void};

use greenhub::Deadline;
use greenhub::foreign;
use libc::pthread_t;

use super::naps::Naps;
use crate::Patch;
use crate::answer::Plain;

hooks! {
    is_on(Patch::THREAD) fn pthread_join(thread: pthread_t, value: *mut *mut c_void) -> c_int = own_join;
}

unsafe extern "C" {
    fn pthread_tryjoin_np(thread: pthread_t, value: *mut *mut c_void) -> c_int;
}

unsafe fn own_join(thread: pthread_t, value: *mut *mut c_void) -> Plain<c_int> {
    let mut naps = Naps::new();
    loop {
        // SAFETY: the caller's; it is joined once.
        match unsafe { pthread_tryjoin_np(thread, value) } {
            libc::EBUSY if foreign::may_park() => naps.nap_uncut("pthread_join", Deadline::NEVER),
            // SAFETY: as above.
            libc::EBUSY => return Plain(unsafe { real::pthread_join(thread, value) }),
            given => return Plain(given),
        };
    }
}
