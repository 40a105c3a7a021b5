//! The end of what a thread keeps for itself.

use std::mem;

use super::heritage::is_used;
use super::task::Task;
use crate::contain::contain;
use crate::thread_locals;

/// How often a thread's values are ended before what their destructors still make is left as it is. All but
/// inherited values that set themselves anew come to an end before.
const ROUNDS: usize = 64;

impl Task {
    /// Drops what this thread, which is the running one and ends, keeps for itself: its values, its thread-locals, what it
    /// has inherited, and whatever destructors of one kind make of another.
    #[inline]
    pub(crate) fn end_values(&self) {
        if self.values.is_any() || is_used() || thread_locals::are_own() {
            self.end_all_values();
        }
    }

    fn end_all_values(&self) {
        // Those of a carrier are not this one's alone, and an OS thread's are the C library's to end.
        let has_locals = self.green().is_some_and(|green| green.carried.is_none());
        for _ in 0..ROUNDS {
            self.values.end();
            if has_locals {
                thread_locals::end_values();
            }
            if !self.values.is_any() && !self.end_heritage() {
                return;
            }
        }
        mem::forget(mem::take(&mut *self.heritage.lock()));
    }

    /// Drops what it has inherited, and says whether there was anything.
    fn end_heritage(&self) -> bool {
        if !is_used() {
            return false;
        }
        let heritage = mem::take(&mut *self.heritage.lock());
        let any = !heritage.is_empty();
        // Not under the lock: what it holds may be somebody's to drop.
        contain(|| drop(heritage));
        any
    }
}
