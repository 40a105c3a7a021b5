//! The way into every hook: one load while nothing is patched.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Patch;
use crate::real::Real;

/// The switches that are on, and [`PROBE`].
static ON: AtomicU32 = AtomicU32::new(0);

/// Set while the self-test checks which hooks are reached.
const PROBE: u32 = 1 << 31;

thread_local! {
    static PROBES: Cell<bool> = const { Cell::new(false) };
    static WANTS_ORIGINAL: Cell<u32> = const { Cell::new(0) };
}

pub(crate) fn switched_on() -> Patch {
    Patch::from_bits_truncate(ON.load(Ordering::Relaxed))
}

pub(crate) fn switch_on(patch: Patch) {
    ON.fetch_or(patch.bits(), Ordering::Relaxed);
}

/// For a child process, which has no hubs.
pub(crate) fn switch_off() {
    ON.store(0, Ordering::Relaxed);
}

/// The looks that come first, without a call: whether there is certainly nothing to do.
pub(crate) mod passing {
    use super::*;

    #[inline(always)]
    pub(crate) fn is_on(switches: Patch) -> bool {
        let on = ON.load(Ordering::Relaxed);
        on & (switches.bits() | PROBE) == 0 || (on & PROBE == 0 && !greenhub::is_green())
    }

    #[inline(always)]
    pub(crate) fn is_on_anywhere(switches: Patch) -> bool {
        ON.load(Ordering::Relaxed) & (switches.bits() | PROBE) == 0
    }
}

/// Whether a hook of these switches is to do anything for the running thread: a green one.
pub(crate) fn is_on(switches: Patch, real: &Real) -> bool {
    is_on_anywhere(switches, real) && greenhub::is_green()
}

/// Whether a hook of these switches is to do anything, on whatever thread.
#[inline(never)]
pub(crate) fn is_on_anywhere(switches: Patch, real: &Real) -> bool {
    let on = ON.load(Ordering::Relaxed);
    if on & PROBE != 0 && PROBES.get() {
        real.seen.store(true, Ordering::Relaxed);
    }
    on & switches.bits() != 0 && WANTS_ORIGINAL.get() == 0
}

/// Notes which hooks are reached on this thread while `f` runs.
pub(crate) fn probe(f: impl FnOnce()) {
    ON.fetch_or(PROBE, Ordering::SeqCst);
    PROBES.set(true);
    f();
    PROBES.set(false);
    ON.fetch_and(!PROBE, Ordering::SeqCst);
}

/// Calls `f`, in which the running thread's calls pass through.
pub(crate) fn without<R>(f: impl FnOnce() -> R) -> R {
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            end_passing();
        }
    }
    begin_passing();
    let _back = Back;
    f()
}

/// From here on the running thread's calls pass through.
pub(crate) extern "C" fn begin_passing() {
    WANTS_ORIGINAL.set(WANTS_ORIGINAL.get() + 1);
}

/// Undoes one [`begin_passing`].
pub(crate) fn end_passing() {
    WANTS_ORIGINAL.set(WANTS_ORIGINAL.get() - 1);
}
