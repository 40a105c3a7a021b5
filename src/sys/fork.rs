//! Children of fork(2), which have one OS thread: no hubs, and no pool of threads.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::lock::Lock;

static IN_A_CHILD: AtomicBool = AtomicBool::new(false);

/// What fork(2) calls before it, and after it in the parent and in the child.
pub(crate) type Handlers = [Option<unsafe extern "C" fn()>; 3];

/// Installs handlers for the rest of the process.
///
/// # Errors
///
/// `OutOfMemory`: it may be tried again.
pub(crate) fn install([before, after, in_the_child]: Handlers) -> io::Result<()> {
    // SAFETY: functions that live for ever, and may be called in a child.
    match unsafe { libc::pthread_atfork(before, after, in_the_child) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// From now on a child of fork(2) knows that it is one. If the C library's own fork is bypassed
/// (`_Fork`, clone(2), vfork(2)), the child does not know.
///
/// # Errors
///
/// As [`install`].
pub(crate) fn watch() -> io::Result<()> {
    static WATCHING: AtomicBool = AtomicBool::new(false);
    static STARTING: Lock<()> = Lock::new(());
    if !WATCHING.load(Ordering::Acquire) {
        let _one_at_a_time = STARTING.lock();
        if !WATCHING.load(Ordering::Relaxed) {
            install([None, None, Some(in_a_child)])?;
            WATCHING.store(true, Ordering::Release);
        }
    }
    Ok(())
}

unsafe extern "C" fn in_a_child() {
    IN_A_CHILD.store(true, Ordering::Relaxed);
}

/// Whether this process was forked from one that called [`watch`].
pub(crate) fn is_child() -> bool {
    IN_A_CHILD.load(Ordering::Relaxed)
}
