//! One thread's wait for one of several operations.
//!
//! The thread registers the context with each channel it is interested in, and parks, in one step
//! that no kill and no limit can interrupt. A channel that can go on with one of the operations *selects* it: at most
//! one operation of a context is ever selected, and a thread that was selected comes up and completes it. A thread that
//! timed out or is being killed cannot be selected: the channel turns to the next waiter.
//!
//! | state       | means                          | may become                                               |
//! |-------------|--------------------------------|----------------------------------------------------------|
//! | `PREPARING` | the thread still runs          | `PARKED` or `OVER` by itself, selected by a channel      |
//! | `PARKED`    | it is in the queue             | selected by a channel, `OVER` by itself                  |
//! | `OVER`      | timed out, killed or withdrawn | `PREPARING` by itself, once nobody else knows of it      |
//! | other       | that operation is selected     | `PREPARING` as above, `OVER` by itself, or by the channel if the thread had left the queue |

use std::sync::{
    Arc,
    atomic::{
        AtomicUsize,
        Ordering::{AcqRel, Acquire, Release},
    },
};

use greenhub::Deadline;
use greenhub::wait_queue::{WaitQueue, Wake};

const PREPARING: usize = 0;
const PARKED: usize = 1;
const OVER: usize = 2;
/// Operation `n` is selected: `FIRST + n`.
const FIRST: usize = 3;

pub(super) struct Context {
    state: AtomicUsize,
    /// Holds this one thread.
    queue: WaitQueue,
}

impl Context {
    pub(super) fn new() -> Context {
        Context {
            state: AtomicUsize::new(PREPARING),
            queue: WaitQueue::new(),
        }
    }

    /// Ready for another wait, if nobody else knows of it any more.
    pub(super) fn renew(context: &mut Arc<Context>) -> bool {
        Arc::get_mut(context)
            .map(|context| *context.state.get_mut() = PREPARING)
            .is_some()
    }

    /// Selects `operation` and wakes the thread; false if that came too late. Called by channels,
    /// which must have what the operation needs at hand: the thread will ask for it.
    pub(super) fn select(&self, operation: usize) -> bool {
        let before = self.state.fetch_update(AcqRel, Acquire, |state| {
            (state <= PARKED).then_some(FIRST + operation)
        });
        match before {
            Ok(PARKED) => {
                // It got there under the queue's lock, which this takes.
                let alive = self.queue.wake_one_then(|_, _| ());
                if !alive {
                    self.state.store(OVER, Release);
                }
                alive
            }
            Ok(_) => true,
            Err(_) => false,
        }
    }

    /// Registers by `enter` and parks until an operation is selected; `None` if the deadline passed
    /// before, or if `enter` says that there is nothing to wait for.
    ///
    /// A kill or a limit that is due is raised before `enter`, so nobody selects a thread that then
    /// unwinds. `enter` runs under the lock of this context's queue, which nobody else wants before
    /// the context is `PARKED`.
    pub(super) fn wait(
        &self,
        what: &'static str,
        deadline: Deadline,
        enter: impl FnOnce() -> bool,
    ) -> Option<usize> {
        let mut parked = Parked {
            context: self,
            queued: false,
        };
        let mut entered = false;
        let wake = self.queue.wait(what, deadline, || {
            entered = enter();
            parked.queued = entered
                && self
                    .state
                    .compare_exchange(PREPARING, PARKED, AcqRel, Acquire)
                    .is_ok();
            parked.queued
        });
        if wake != Wake::TimedOut {
            parked.queued = false;
        }
        drop(parked);
        if entered {
            self.selected()
        } else {
            self.withdraw()
        }
    }

    /// Ends the wait, whatever became of it; tells the operation that was selected, if one was.
    pub(super) fn withdraw(&self) -> Option<usize> {
        self.state.swap(OVER, AcqRel).checked_sub(FIRST)
    }

    /// True until something has been selected, or the thread has withdrawn.
    pub(super) fn is_waiting(&self) -> bool {
        self.state.load(Acquire) <= PARKED
    }

    fn selected(&self) -> Option<usize> {
        self.state.load(Acquire).checked_sub(FIRST)
    }
}

/// A thread in the queue. If it leaves without having been chosen, by a deadline or by unwinding, it counts as not
/// selected, even if a channel learns that from the queue only later.
struct Parked<'a> {
    context: &'a Context,
    queued: bool,
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        if self.queued {
            self.context.state.store(OVER, Release);
        }
    }
}
