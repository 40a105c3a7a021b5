//! How the running green thread leaves for the loop.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::local::Local;
use super::task::{Green, Task};
use crate::sys;
use crate::sys::lock::is_any_held;
use crate::thread_locals;

impl Local {
    /// Puts `task`, which is the running green thread, at the end of the ready
    /// queue and leaves it for the loop.
    pub(crate) fn requeue(&self, task: &Arc<Task>) {
        debug_assert!(
            !is_any_held(),
            "a green thread gives way under a short lock"
        );
        if let Some(green) = task.green() {
            self.push(self.handle(task));
            self.suspend(task, green);
        }
    }

    /// Leaves the running green thread, which is `task`, for the loop.
    #[inline]
    pub(crate) fn suspend(&self, task: &Task, green: &Green) {
        let here = 0u8;
        green
            .suspended_at
            .store(&raw const here as usize, Ordering::Relaxed);
        match thread_locals::are_own() {
            true => green.legs.leave(),
            false => self.leave_shared(task, green),
        }
    }

    /// Where thread-locals are shared: among them are errno, which the neighbours' system
    /// calls set too, and whether somebody unwinds.
    #[inline]
    fn leave_shared(&self, task: &Task, green: &Green) {
        let errno = sys::errno();
        let unwinding = usize::from(task.is_panicking());
        self.parked_unwinding
            .set(self.parked_unwinding.get() + unwinding);
        green.legs.leave();
        self.parked_unwinding
            .set(self.parked_unwinding.get() - unwinding);
        sys::set_errno(errno);
    }
}
