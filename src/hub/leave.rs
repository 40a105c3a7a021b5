//! How the running green thread stops running: by a switch straight to the next one, or to the
//! loop; and how it is forgotten.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::leg;
use super::local::Local;
use super::task::{Green, Task};
use crate::config::SwitchHook;
use crate::contain::or_abort;
use crate::engine::Fiber;
use crate::sys;
use crate::sys::lock::is_any_held;
use crate::thread_locals;

impl Local {
    /// Puts `task`, which is the running green thread, at the end of the ready
    /// queue and switches to the next one there.
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

    /// Leaves the running green thread, which is `task`, for the next one or the loop.
    #[inline]
    pub(crate) fn suspend(&self, task: &Task, green: &Green) {
        let here = 0u8;
        green
            .suspended_at
            .store(&raw const here as usize, Ordering::Relaxed);
        match thread_locals::are_own() {
            true => self.leave(green),
            false => self.leave_shared(task, green),
        }
    }

    /// Where thread-locals are shared: among them are errno, which the neighbours' system calls set
    /// too, and std's count of unwinds.
    #[inline]
    fn leave_shared(&self, task: &Task, green: &Green) {
        let errno = sys::errno();
        match self.switch_hook {
            None => self.leave_counted(task, green),
            Some(hook) => self.leave_by_hook(hook, task, green),
        }
        sys::set_errno(errno);
    }

    #[cold]
    fn leave_by_hook(&self, hook: SwitchHook, task: &Task, green: &Green) {
        by_hook(hook, task, &mut || self.leave_counted(task, green));
    }

    #[inline(always)]
    fn leave_counted(&self, task: &Task, green: &Green) {
        let unwinding = usize::from(task.is_panicking());
        self.parked_unwinding
            .set(self.parked_unwinding.get() + unwinding);
        self.leave(green);
        self.parked_unwinding
            .set(self.parked_unwinding.get() - unwinding);
    }

    /// Leaves `carrier`, on which we run and which nobody has any more, until it is lent again.
    #[inline]
    pub(super) fn rest(&self, carrier: Fiber) {
        leg::rest(carrier, self.next_fiber(), self.is_here());
    }

    /// Forgets `task`, which is over, but for the handle that this gives.
    #[inline(always)]
    pub(super) fn dismiss(&self, task: &Arc<Task>, green: &Green) -> Option<Arc<Task>> {
        self.timers.borrow_mut().remove(task);
        let key = green.listed.load(Ordering::Relaxed);
        let listed = {
            let mut threads = self.hub.threads.lock();
            self.hub.count_load(&mut threads, -1);
            threads.try_remove(key)
        };
        #[cfg(feature = "sim")]
        if let Some(world) = self.world {
            world.ends(task.id);
        }
        listed
    }

    #[inline(always)]
    fn leave(&self, green: &Green) {
        match self.next_fiber() {
            Some(next) => green.legs.leave_for(next, self.is_here()),
            None => green.legs.leave(),
        }
    }
}

/// Leaves once, where the program's hook says so, and lets the hook itself wait nowhere.
fn by_hook(hook: SwitchHook, task: &Task, leave: &mut dyn FnMut()) {
    let mut has_left = false;
    task.stays.store(true, Ordering::Relaxed);
    or_abort("a switch hook panicked", || {
        hook(&mut || {
            if !has_left {
                has_left = true;
                task.stays.store(false, Ordering::Relaxed);
                leave();
                task.stays.store(true, Ordering::Relaxed);
            }
        });
    });
    task.stays.store(false, Ordering::Relaxed);
    if !has_left {
        leave();
    }
}
