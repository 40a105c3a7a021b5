//! The end of an OS thread, after the destructors of its thread-locals, and of the process.

use std::ffi::c_void;
use std::io;

use super::lock::Lock;

/// Makes sure that `f` is called on this OS thread at its end, when all its thread-locals are gone.
/// There is one such function in a process; it must not unwind. If the system has no key left it is
/// not called.
///
/// A pthread key rather than a thread-local of our own, whose destructor would
/// run before those of thread-locals that were used earlier.
pub(crate) fn call_at_end(f: fn()) {
    static KEY: Lock<Option<libc::pthread_key_t>> = Lock::new(None);
    let key = {
        let mut made = KEY.lock();
        if made.is_none() {
            let mut key = 0;
            // SAFETY: `key` lives across the call; `call` has the signature asked for.
            let code = unsafe { libc::pthread_key_create(&mut key, Some(call)) };
            *made = (code == 0).then_some(key);
        }
        *made
    };
    if let Some(key) = key {
        // SAFETY: a key that was made above. Should there be no memory for it,
        // `f` is not called.
        unsafe { libc::pthread_setspecific(key, f as *const c_void) };
    }
}

/// Has exit(3) call `f`, on the thread that called it, before what was registered earlier and the destructors of statics
/// that were made earlier.
///
/// # Errors
///
/// `OutOfMemory`: it may be tried again.
pub(crate) fn call_at_exit(f: extern "C" fn()) -> io::Result<()> {
    // SAFETY: a function that lives as long as the process.
    match unsafe { libc::atexit(f) } {
        0 => Ok(()),
        _ => Err(io::ErrorKind::OutOfMemory.into()),
    }
}

unsafe extern "C" fn call(f: *mut c_void) {
    // SAFETY: set above, from a `fn()`.
    let f = unsafe { std::mem::transmute::<*mut c_void, fn()>(f) };
    f();
}
