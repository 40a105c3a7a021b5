//! Children of fork(2), which have one OS thread: no hubs, and no pool of threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static IN_A_CHILD: AtomicBool = AtomicBool::new(false);

/// From now on a child of fork(2) knows that it is one. If the C library's own fork is bypassed
/// (`_Fork`, clone(2), vfork(2)), the child does not know.
pub(crate) fn watch() {
    static WATCHING: OnceLock<()> = OnceLock::new();
    WATCHING.get_or_init(|| {
        // SAFETY: a function that lives for ever and may be called in a child. Should
        // there be no memory for it, a child is not told.
        unsafe { libc::pthread_atfork(None, None, Some(in_a_child)) };
    });
}

unsafe extern "C" fn in_a_child() {
    IN_A_CHILD.store(true, Ordering::Relaxed);
}

/// Whether this process was forked from one that called [`watch`].
pub(crate) fn is_child() -> bool {
    IN_A_CHILD.load(Ordering::Relaxed)
}
