//! What only a hub's own OS thread touches: who is ready, whose time has come, who runs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use super::Hub;
use super::task::{Green, Task};
use crate::clock::Nanos;
use crate::config::{SwitchHook, settings};
use crate::engine::Fiber;
use crate::hot_stacks;
#[cfg(all(target_env = "gnu", target_pointer_width = "64"))]
use crate::sys::destructors::Destructors;
use crate::timer::TimerQueue;
#[cfg(feature = "sim")]
use crate::world::World;

/// Calls in a row that a green thread may make without waiting.
pub(super) const BUDGET: u32 = 64;
/// How much time it may take for them; 64 short reads are over at once, 64 reads of a quarter of a megabyte are not.
const SLICE: Duration = Duration::from_micros(250);
/// Calls between two looks at the clock. A green thread that waits sooner, as
/// most do after each request, costs no look at all.
const CALLS_PER_LOOK: u32 = 4;

pub(crate) struct Local {
    #[cfg(all(target_env = "gnu", target_pointer_width = "64"))]
    destructors: Option<Destructors>,
    pub(crate) hub: &'static Hub,
    pub(super) ready: RefCell<VecDeque<Arc<Task>>>,
    /// Those of them that are accepting connections.
    pub(super) acceptors: RefCell<VecDeque<Arc<Task>>>,
    /// The handle by which the running green thread stood in the ready queue.
    /// Its next wait takes it along.
    pub(super) running: Cell<Option<Arc<Task>>>,
    /// Carriers that nobody has, the one used last at the end.
    pub(super) carriers: RefCell<Vec<Fiber>>,
    /// How many there may be of those; they keep their stacks. One in any case.
    pub(super) resting: usize,

    pub(crate) timers: RefCell<TimerQueue<Arc<Task>>>,
    /// About when this turn began.
    pub(crate) time: Cell<Nanos>,
    /// The hub's OS thread as a thread that waits, where green threads have
    /// thread-locals of their own; null before it was asked for.
    pub(crate) os_task: Cell<*const Task>,
    /// How many green threads are suspended inside a destructor of an unwind, where
    /// thread-locals are shared.
    pub(crate) parked_unwinding: Cell<usize>,
    /// How many of those have not begun to unwind: they are in a panic hook.
    pub(crate) parked_in_hook: Cell<usize>,
    /// What the program does at each wait, where thread-locals are shared.
    pub(super) switch_hook: Option<SwitchHook>,
    /// Calls that the running green thread may still make without waiting.
    pub(super) budget: Cell<u32>,
    /// When the running green thread's calls were first looked at.
    pub(super) slice_began: Cell<Option<Nanos>>,
    /// How many legs this turn may still have: none once a green thread had to give
    /// way, so that the poller is looked at next.
    pub(super) legs_left: Cell<u32>,
    /// Whether this turn's legs are measured, each by the loop.
    pub(super) is_metered: Cell<bool>,
    /// Where the hub's OS thread keeps who runs, also where green threads have
    /// thread-locals of their own; null before it is the hub's.
    pub(super) current: Cell<*const AtomicPtr<Task>>,
    /// Of a hub that runs simulations: what it has in the system's place.
    #[cfg(feature = "sim")]
    pub(crate) world: Option<&'static World>,
}

impl Local {
    /// A hub is never taken down: both halves live as long as the process.
    pub(super) fn new(hub: &'static Hub) -> &'static Local {
        Box::leak(Box::new(Local::of(hub)))
    }

    /// Of a hub that runs simulations.
    #[cfg(feature = "sim")]
    pub(super) fn simulated(hub: &'static Hub) -> &'static Local {
        Box::leak(Box::new(Local {
            world: Some(World::new()),
            ..Local::of(hub)
        }))
    }

    fn of(hub: &'static Hub) -> Local {
        Local {
            #[cfg(all(target_env = "gnu", target_pointer_width = "64"))]
            destructors: match crate::thread_locals::are_own() {
                true => None,
                false => Destructors::watch(),
            },
            hub,
            ready: RefCell::new(VecDeque::new()),
            acceptors: RefCell::new(VecDeque::new()),
            running: Cell::new(None),
            // Nobody is to allocate while it is borrowed.
            carriers: RefCell::new(Vec::with_capacity(hot_stacks::MOST)),
            resting: hot_stacks::count(settings().stack_size, 1).max(1),
            timers: RefCell::new(TimerQueue::new()),
            time: Cell::new(Nanos::now()),
            os_task: Cell::new(std::ptr::null()),
            parked_unwinding: Cell::new(0),
            parked_in_hook: Cell::new(0),
            switch_hook: settings().switch_hook,
            budget: Cell::new(BUDGET),
            slice_began: Cell::new(None),
            legs_left: Cell::new(0),
            is_metered: Cell::new(false),
            current: Cell::new(std::ptr::null()),
            #[cfg(feature = "sim")]
            world: None,
        }
    }

    /// Puts a task at the end of its ready queue.
    #[inline]
    pub(crate) fn push(&self, task: Arc<Task>) {
        let accepts = |green: &Green| green.accepting.load(Ordering::Relaxed);
        let queue = match task.green().is_some_and(accepts) {
            true => &self.acceptors,
            false => &self.ready,
        };
        queue.borrow_mut().push_back(task);
    }

    /// The task of the running green thread, which has not waited yet.
    pub(super) fn running(&self) -> *const Task {
        let running = self.running.take();
        let task = running.as_ref().map_or(std::ptr::null(), Arc::as_ptr);
        self.running.set(running);
        task
    }

    /// A handle to `task`, which is the running green thread, for whoever is to
    /// wake it.
    #[inline]
    pub(crate) fn handle(&self, task: &Arc<Task>) -> Arc<Task> {
        self.running.take().unwrap_or_else(|| task.clone())
    }

    /// Moves a task that was just scheduled here to the front of the queue.
    pub(crate) fn hurry(&self, task: &Arc<Task>) {
        let mut ready = self.ready.borrow_mut();
        if ready.back().is_some_and(|last| Arc::ptr_eq(last, task))
            && let Some(task) = ready.pop_back()
        {
            ready.push_front(task);
        }
    }

    /// Whether none of the loop's own data is being changed, so that the running green thread may switch to it.
    pub(crate) fn is_settled(&self) -> bool {
        self.ready.try_borrow_mut().is_ok()
            && self.acceptors.try_borrow_mut().is_ok()
            && self.timers.try_borrow_mut().is_ok()
    }

    /// Whether the destructors of this OS thread's thread-locals are running: it
    /// never ends, so a green thread has called exit(3).
    #[inline]
    pub(crate) fn is_ending(&self) -> bool {
        #[cfg(all(target_env = "gnu", target_pointer_width = "64"))]
        if let Some(destructors) = &self.destructors {
            return destructors.are_running();
        }
        false
    }

    /// To be called after a call that did not wait: says whether the green
    /// thread should now let others run.
    #[inline]
    pub(crate) fn spend(&self) -> bool {
        let left = self.budget.get();
        if left > 0 {
            self.budget.set(left - 1);
            let calls = BUDGET - left + 1;
            if !calls.is_multiple_of(CALLS_PER_LOOK) || !self.slice_is_over() {
                return false;
            }
        }
        self.legs_left.set(0);
        true
    }

    /// As [`spend`](Local::spend), for a call that returns to its caller so that others can run: if the caller does not
    /// let them, the count begins anew.
    pub(crate) fn spend_by_poll(&self) -> bool {
        let spent = self.spend();
        if spent {
            self.budget.set(BUDGET);
            self.slice_began.set(None);
        }
        spent
    }

    /// As [`spend`](Local::spend), for calls that only touch memory and are over at once: not their number counts, but
    /// the time that they take.
    pub(crate) fn spend_in_memory(&self) -> bool {
        #[cfg(feature = "sim")]
        if let Some(world) = self.world {
            return world.gives_way();
        }
        let over = self.slice_is_over();
        if over {
            self.legs_left.set(0);
        }
        over
    }

    #[cold]
    fn slice_is_over(&self) -> bool {
        let now = Nanos::now();
        match self.slice_began.get() {
            None => {
                self.slice_began.set(Some(now));
                false
            }
            Some(began) => began.until(now) >= SLICE,
        }
    }
}
