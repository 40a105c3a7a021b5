//! What a green thread does from its start to its end, and where it leaves its result.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use crate::sys::lock::Lock;

use super::ending::{Ending, Result};
use super::link::Links;
use super::scope_data::ScopeData;
use crate::contain::contain;
use crate::error::Killed;
use crate::hub::current;
use crate::hub::interrupt::{Raised, Shield};
use crate::hub::task::{Start, Task};
use crate::wait_queue::WaitQueue;

/// Where a green thread leaves its result.
pub(crate) struct Packet<T> {
    pub(super) outcome: Lock<Completion<T>>,
    pub(super) finished: AtomicBool,
    pub(super) joiners: WaitQueue,
    pub(super) links: Links,
    scope: Option<Arc<ScopeData>>,
}

/// The result, once there is one, and whom to wake for it: the task that awaits
/// the handle.
pub(super) struct Completion<T> {
    pub(super) result: Option<Result<T>>,
    pub(super) waker: Option<Waker>,
}

impl<T> Packet<T> {
    pub(crate) fn new() -> Arc<Packet<T>> {
        Packet::in_scope(None)
    }

    pub(super) fn in_scope(scope: Option<Arc<ScopeData>>) -> Arc<Packet<T>> {
        Arc::new(Packet {
            outcome: Lock::new(Completion {
                result: None,
                waker: None,
            }),
            finished: AtomicBool::new(false),
            joiners: WaitQueue::new(),
            links: Links::default(),
            scope,
        })
    }

    /// The whole life of the green thread that runs `f`. Does not unwind.
    pub(super) fn body<F: FnOnce() -> T>(self: Arc<Packet<T>>, f: F) -> impl FnOnce(Start) {
        move |start| {
            let result = match start {
                Start::Run => catch_unwind(AssertUnwindSafe(f)),
                Start::Killed => {
                    drop_unrun(|| drop(f));
                    Err(Box::new(Killed) as Box<dyn Any + Send>)
                }
            };
            self.end(result);
        }
    }

    /// What is left to do once there is a result, or a payload: by the green thread itself.
    #[inline(always)]
    pub(crate) fn end(self: Arc<Packet<T>>, result: Result<T>) {
        let result = result.map_err(|payload| match payload.downcast::<Raised>() {
            Ok(_) => Box::new(Killed),
            Err(panic) => panic,
        });
        // What is left are links and destructors: a kill does not interrupt
        // them, and limits that they set themselves hold.
        current::with(|task| {
            let _shield = Shield::of(&**task);
            self.end_of(task, result);
        });
    }

    /// The end of `task`, which is the running one.
    fn end_of(self: Arc<Packet<T>>, task: &Task, result: Result<T>) {
        self.links.follow(Ending::of(&result));
        if current::is_green() {
            // Before the joiner hears of the end, as std has it. What is made from here on goes at the very end.
            task.end_values();
        }
        let waker = {
            let mut outcome = self.outcome.lock();
            outcome.result = Some(result);
            outcome.waker.take()
        };
        self.finished.store(true, Ordering::Release);
        self.joiners.wake_all();
        if let Some(waker) = waker {
            // An executor's code, which may do anything.
            contain(|| waker.wake());
        }
        // The last handle to an unwanted result: its drop is user code.
        contain(|| drop(self));
    }
}

/// Drops, by `f`, what is not to run, or no further. For its destructors the thread counts as unwinding, as it
/// would if they ran while it did.
pub(crate) fn drop_unrun(f: impl FnOnce()) {
    let _shield = Shield::new();
    let tell = |unrun| current::with(|task| task.interrupts.set_unrun(unrun));
    tell(true);
    contain(f);
    tell(false);
}

impl<T> Drop for Packet<T> {
    fn drop(&mut self) {
        let result = self.outcome.get_mut().result.take();
        let unhandled_panic = matches!(result, Some(Err(_)));
        let runs_code = unhandled_panic || (result.is_some() && mem::needs_drop::<T>());
        // The result may use what the scope lends, so it goes first.
        let dropped = !runs_code || {
            // Nothing cuts its destructor short, whoever had the last handle. A kill of his waits for his next wait.
            let _shield = Shield::new();
            contain(|| drop(result))
        };
        if let Some(scope) = self.scope.take() {
            scope.end(unhandled_panic || !dropped);
        }
    }
}
