//! Whether the running thread unwinds.
//!
//! Where thread-locals are a green thread's own, `std::thread::panicking()` tells who
//! unwinds. Where they are shared it cannot: it is true for a whole OS thread as long as any of its green threads is parked inside a
//! destructor that a panic runs. Each hub counts the threads that are parked in this way; while there are none, std's
//! answer is about the running thread. Otherwise the thread's own stack is examined ([`sys::unwind`]), which takes
//! longer, but is right whoever began the unwind and whatever became of the panic hook. If the stack does not tell, the
//! thread counts as unwinding: an interrupt that is late does no harm. A panic hook runs before the unwind, and counts as a part of it.

use std::sync::atomic::Ordering;

use super::local::Local;
use super::task::{Kind, Task};
use super::{current, held};
use crate::sys;
use crate::thread_locals;

impl Task {
    /// Whether this thread, which is the running one, is unwinding, so that
    /// another unwind would abort.
    #[inline(always)]
    pub(crate) fn is_unwinding(&self) -> bool {
        std::thread::panicking() && self.unwinds_itself(sys::unwind::is_barred)
    }

    /// Whether it is this thread that panics, if anybody does on this OS thread. `is_seen` looks at its stack.
    #[cold]
    #[inline(never)]
    fn unwinds_itself(&self, is_seen: fn(usize) -> bool) -> bool {
        if held::is_in_hook() {
            return true;
        }
        let nested = self.interrupts.nested.load(Ordering::Relaxed);
        if nested != 0 {
            return is_seen(nested);
        }
        match (&self.kind, current::local()) {
            (Kind::Green(green), Some(local))
                if local.parked_unwinding.get() > 0 && !thread_locals::are_own() =>
            {
                is_seen(green.base.load(Ordering::Relaxed))
            }
            // Somebody on this OS thread unwinds, and nobody else can be it.
            _ => true,
        }
    }

    /// Whether this thread, which is the running one, is in a panic hook. To std an unwind that began there would
    /// be the end of the hook's panic, even if it was caught before it left the hook.
    pub(crate) fn is_in_hook(&self) -> bool {
        if !std::thread::panicking() {
            return false;
        }
        // A hook that was set later may not call ours. Then it is a panic that no destructor runs in.
        let is_its_own =
            |local: &Local| thread_locals::are_own() || local.parked_unwinding.get() == 0;
        held::is_in_hook()
            || match (
                &self.kind,
                current::local().filter(|local| is_its_own(local)),
            ) {
                (Kind::Green(green), Some(_)) => {
                    !sys::unwind::may_be_in_destructor(green.base.load(Ordering::Relaxed))
                }
                _ => false,
            }
    }

    /// Whether this thread, which is the running one, is unwinding, even if it is now in a block with a time limit
    /// inside a destructor.
    pub(crate) fn is_panicking(&self) -> bool {
        self.is_nested()
            || std::thread::panicking() && self.unwinds_itself(sys::unwind::may_be_in_destructor)
    }

    pub(super) fn is_nested(&self) -> bool {
        self.interrupts.nested.load(Ordering::Relaxed) != 0
    }
}
