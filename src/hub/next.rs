//! Who runs next: the next leg of a turn, begun by the loop or by the green thread that leaves.
//!
//! A green thread that waits switches straight to the next one that is ready, so the loop runs once
//! a turn, not once a leg. It switches to the loop when nobody is ready, when the turn's legs are
//! used up, and when it ends: what must be done at an end is done in the loop's context. One without
//! a stack of its own is lent a carrier first.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::local::{BUDGET, Local};
use super::task::{Green, Task};
use super::{current, root};
use crate::clock::Nanos;
use crate::deadline::Deadline;
use crate::engine::Fiber;
use crate::sys::memory::prefetch;
use crate::thread_locals;

/// Ready green threads whose memory is fetched as a group.
const FETCHED: u32 = 8;
/// Green threads of a hub whose memory stays in the cache without that.
const FEW: usize = 16;
/// Bytes of a cache line.
const LINE: usize = 64;

impl Local {
    /// Takes the next one that is ready, if this turn may have another leg.
    #[inline]
    pub(super) fn next_ready(&self) -> Option<Arc<Task>> {
        let left = self.legs_left.get().checked_sub(1)?;
        let task = self.ready.borrow_mut().pop_front()?;
        self.legs_left.set(left);
        if self.hub.load() > FEW {
            if left % FETCHED == 0 {
                self.fetch_group();
            }
            self.fetch_next();
        }
        Some(task)
    }

    /// Begins the leg of the next one that is ready, for the running green thread, which
    /// then leaves for it; or nobody's, and it leaves for the loop.
    #[inline]
    pub(super) fn next_fiber(&self) -> Option<Fiber> {
        if self.is_metered.get() || self.legs_left.get() == 0 {
            return None;
        }
        let fiber = {
            // Lent until it has begun: whoever is called meanwhile finds the loop's own
            // unsettled, and does not leave.
            let ready = self.ready.borrow();
            let task = ready.front()?;
            let green = task.green()?;
            match green.legs.fiber() {
                Some(fiber) => fiber,
                None if green.carried.is_some() => self.lend(task, green)?,
                None if green.start == Nanos::LONG_AGO => self.begin(task, green),
                // It may be put off once more.
                None => return None,
            }
        };
        self.begin_leg(self.next_ready()?);
        Some(fiber)
    }

    /// Makes the fiber of a green thread that has not begun.
    pub(super) fn begin(&self, task: &Arc<Task>, green: &Green) -> Fiber {
        let begun = &self.hub.counters.begun;
        begun.store(begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let local = ptr::from_ref(self) as usize;
        let owner = Arc::as_ptr(task).cast();
        green.legs.begin(root::run, local, owner)
    }

    /// Lends `task`, whose future is to be polled, a carrier that rests, or a new one; none if there is
    /// no stack for it.
    // Out of line, for those who do not use it.
    #[inline(never)]
    pub(super) fn lend(&self, task: &Arc<Task>, green: &Green) -> Option<Fiber> {
        // If it waited for a stack, it does so no longer.
        green.deadline.set(Deadline::NEVER);
        let owner = Arc::as_ptr(task).cast();
        let resting = self.carriers.borrow_mut().pop();
        let carrier = match resting {
            Some(carrier) => carrier,
            None => {
                let stack = self.hub.stacks.take(green.stack_size).ok()?;
                Fiber::new(stack, root::run, ptr::from_ref(self) as usize, owner)
            }
        };
        green.legs.lend(carrier, owner);
        Some(carrier)
    }

    /// Makes `task` the one that runs.
    #[inline]
    pub(super) fn begin_leg(&self, task: Arc<Task>) {
        let resumes = &self.hub.counters.resumes;
        resumes.store(resumes.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.budget.set(BUDGET);
        self.slice_began.set(None);
        current::set_on(self, Arc::as_ptr(&task));
        self.running.set(Some(task));
    }

    /// Brings the memory that the next resume touches first into the cache while this one runs.
    /// With a thousand connections it is in no cache: the misses took a tenth of an echo request,
    /// most of them at the coroutine's context, in the top page of its stack, and at its registers
    /// and frames, where it was suspended.
    fn fetch_next(&self) {
        let ready = self.ready.borrow();
        if let Some(green) = ready.front().and_then(|task| task.green())
            && green.legs.have_begun()
        {
            let suspended_at = green.suspended_at.load(Ordering::Relaxed);
            prefetch(green.legs.context());
            if thread_locals::are_own() {
                thread_locals::prefetch(green.legs.context());
            }
            (0..20).for_each(|line| {
                prefetch(suspended_at.wrapping_sub(640).wrapping_add(line * LINE))
            });
        }
    }

    /// The same for what takes longest: each stack has pages of its own, and
    /// the processor looks up where a page is (a page walk, some hundred
    /// nanoseconds in a virtual machine) before it can even begin to fetch. One
    /// after the other they stood still for a tenth of a request; here several
    /// are looked up at once, for the next [`FETCHED`] threads. The tasks of
    /// those after them are fetched for the next time.
    fn fetch_group(&self) {
        let ready = self.ready.borrow();
        for green in ready
            .iter()
            .take(FETCHED as usize)
            .filter_map(|task| task.green())
        {
            prefetch(green.legs.context());
        }
        for task in ready.iter().skip(FETCHED as usize).take(FETCHED as usize) {
            let task = Arc::as_ptr(task) as usize;
            (0..6).for_each(|line| prefetch(task + line * LINE));
        }
    }

    /// Whether this is the hub of the OS thread that runs. Looked at by the OS thread
    /// itself, whatever the caller takes itself for.
    #[inline]
    pub(super) fn is_here(&self) -> bool {
        current::local().is_some_and(|here| ptr::eq(here, self))
    }
}
