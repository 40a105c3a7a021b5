//! Why the running green thread must not suspend: it is in a panic hook, or the process ends.

use std::cell::Cell;
use std::io;
use std::ptr;

use super::current;
use super::task::{Green, Task};
use crate::sys::lock::Lock;
use crate::sys::thread_end::call_at_exit;
use crate::thread_locals;

thread_local! {
    static HELD: Cell<Held> = const { Cell::new(Held::No) };
}

/// Why the running green thread must not suspend.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    No,
    /// In a panic hook: while one is suspended there, a neighbour's panic ends the
    /// process, and no neighbour may unwind otherwise.
    InHook,
    /// The process ends.
    ForGood,
}

/// Whether the running green thread must not suspend, so that its OS thread waits instead: in a panic
/// hook, since a neighbour's panic would count as one inside a panic; and while the process ends.
#[inline]
pub(crate) fn is_held() -> bool {
    // Neither a hook nor a thread-local's destructor concerns a neighbour that has thread-locals of its own.
    if thread_locals::are_own() {
        return HELD.get() == Held::ForGood;
    }
    if HELD.get() == Held::No && current::local().is_some_and(|local| local.is_ending()) {
        hold_for_good();
    }
    HELD.get() != Held::No
}

/// Whether a panic hook runs here that calls ours.
pub(crate) fn is_in_hook() -> bool {
    HELD.get() == Held::InHook
}

/// The process ends: from now on no other green thread runs on this OS thread, among values whose destructors run now.
pub(crate) fn hold_for_good() {
    if HELD.replace(Held::ForGood) != Held::ForGood
        && let Some(local) = current::local()
    {
        local.hub.leave_out();
    }
}

/// Whether `task` will never run: the process ends, and the running thread holds its hub for good.
pub(crate) fn holds_for_good(task: &Task) -> bool {
    let is_here =
        |green: &Green| current::local().is_some_and(|local| ptr::eq(green.home, &local.hub.home));
    is_held() && HELD.get() == Held::ForGood && task.green().is_some_and(is_here)
}

/// Has exit(3) hold the hub of the green thread that calls it, before the destructors of statics run and the functions
/// that were registered before this one.
///
/// # Errors
///
/// There is no memory for it: it may be tried again.
pub(super) fn hold_at_exit() -> io::Result<()> {
    extern "C" fn at_exit() {
        hold_for_good();
    }
    static HOLDS: Lock<bool> = Lock::new(false);
    let mut holds = HOLDS.lock();
    if !*holds {
        call_at_exit(at_exit)?;
        *holds = true;
    }
    Ok(())
}

/// The panic hook that runs here is suspended: others may be, too.
pub(super) fn leave_hook() {
    HELD.set(Held::No);
}

/// It goes on.
pub(super) fn enter_hook_again() {
    HELD.set(Held::InHook);
}

/// While it lives, a panic hook runs here.
pub(super) struct InHook {
    outer: Held,
}

impl InHook {
    pub(super) fn new() -> InHook {
        let outer = HELD.get();
        if outer == Held::No {
            HELD.set(Held::InHook);
        }
        InHook { outer }
    }
}

impl Drop for InHook {
    fn drop(&mut self) {
        if HELD.get() == Held::InHook {
            HELD.set(self.outer);
        }
    }
}
