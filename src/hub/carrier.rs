//! Carriers: the few stacks of a hub on which futures are polled that have none of their own.
//!
//! A future that was spawned is a green thread in all but this: it has a stack only while it is
//! polled. When it is its turn to run, it is lent a carrier, a fiber that polls for whoever it was lent to.
//! If the future is not ready, it gives the carrier back, and the next one may have it without a
//! switch. If the poll waits, the carrier is its stack until the poll has returned, as if it had been the
//! green thread's own; whoever is ready meanwhile is lent another one.
//!
//! A carrier is nobody whom one could kill or see in a report. What is raised in a poll ends there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::leg::Legs;
use super::local::Local;
use super::task::{Green, Kind, Start, Task};
use super::{count, current, wait};
use crate::clock::Nanos;
use crate::engine::Fiber;

/// What a carrier does from its first poll to its end; `base` is an address in the frame of its first
/// function.
pub(crate) fn carry(base: usize) {
    while let Some(local) = current::local() {
        current::follow(local);
        // Held until somebody else runs: whoever it is, it may be forgotten before.
        let Some(task) = local.running.take() else {
            return;
        };
        let Some(green) = task.green() else { return };
        green.base.store(base, Ordering::Relaxed);
        let is_over = poll(local, &task, green);
        if is_over {
            // What wakers and the last handles' destructors made.
            task.interrupts.shield_for_life();
            task.end_values();
        }
        let Some(carrier) = green.legs.give_back() else {
            return;
        };
        // From here on nothing may wait: nobody has this stack.
        if is_over {
            drop(local.dismiss(&task, green));
            count(&local.hub.counters.ended, 1);
        } else {
            wait::await_waker(local, &task);
        }
        let stack_size = green.stack_size;
        local.running.set(Some(task));
        if local.may_rest() {
            local.carriers.borrow_mut().push(carrier);
            local.rest(carrier);
        } else {
            return end(local, carrier, stack_size, base);
        }
    }
}

/// Polls the future of `task` and says whether it is over.
fn poll(local: &Local, task: &Arc<Task>, green: &Green) -> bool {
    // A waker that is called from now on wants another poll.
    task.woken.store(false, Ordering::SeqCst);
    // Looked at under the lock, so that `cancel` either comes before or finds it begun.
    let (body, start) = {
        let mut body = green.body.lock();
        let start = match task.interrupts.is_killed() {
            true => Start::Killed,
            false => Start::Run,
        };
        (body.take(), start)
    };
    let Some(mut body) = body else { return true };
    if body.is_new() {
        count(&local.hub.counters.begun, 1);
    }
    let is_over = body.future().is_none_or(|future| future.poll(start, task));
    if !is_over {
        *green.body.lock() = Some(body);
    }
    is_over
}

impl Local {
    /// Whether one more carrier may stand ready. In a simulation none does: what a program leaves in
    /// its thread-locals would be seen by the next one.
    fn may_rest(&self) -> bool {
        #[cfg(feature = "sim")]
        if self.world.is_some() {
            return false;
        }
        self.carriers.borrow().len() < self.resting
    }
}

/// Ends `carrier`, on which we run. Destructors of its thread-locals may wait, so for these it
/// becomes a green thread, and [ends](super::root) as one.
fn end(local: &Local, carrier: Fiber, stack_size: usize, base: usize) {
    let (home, legs) = (&local.hub.home, Legs::without_stack());
    let green = Green::new(home, legs, stack_size, None, Nanos::LONG_AGO, None);
    let name = Some("carrier".into());
    let task = Arc::new(Task::new(name, 0, Kind::Green(green)));
    if let Some(green) = task.green() {
        green.base.store(base, Ordering::Relaxed);
        green.legs.lend(carrier, Arc::as_ptr(&task).cast());
    }
    local.hub.list(&task);
    current::set_on(local, Arc::as_ptr(&task));
    local.running.set(Some(task));
    current::follow(local);
    count(&local.hub.counters.begun, 1);
}
