//! Coroutines that have run a green thread to its end and are kept for the next one.
//!
//! Starting a coroutine costs the engine half a dozen allocations, and its pool
//! hands out the stack that was used longest ago. A hub keeps some of its own
//! and takes the one used last: a green thread then starts with a switch, on a
//! stack that is still in the cache.
//!
//! A spare keeps the claim of its stack (module [`stacks`]). Whoever places a
//! green thread on the hub may have one [promised](Hub::promise_spare) instead of
//! claiming a stack.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use super::turn::assert_home;
use super::{Hub, current};
use crate::engine::Coroutine;
use crate::green_thread::root;
use crate::stacks;

/// As many a hub keeps at most. More go to the engine's pool, which all share.
const KEPT: usize = 1024;

impl Hub {
    /// Sets a spare aside for a green thread about to be placed here, if there
    /// is one left.
    pub(crate) fn promise_spare(&self) -> bool {
        self.spares
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok()
    }
}

/// Touched by the hub's OS thread alone.
#[derive(Default)]
pub(super) struct Spares {
    /// At least as many as have been promised.
    kept: RefCell<Vec<Rc<Coroutine>>>,
    /// Whether the green thread that has just ended left its coroutine here.
    left: Cell<bool>,
}

impl Spares {
    /// Runs the current green thread's first leg on a spare, which it was
    /// promised.
    pub(super) fn start(&self) {
        let spare = self.kept.borrow_mut().pop();
        spare.expect("a spare was promised").resume();
    }

    /// Whether the green thread that has just ended left its coroutine, and
    /// with it the claim of its stack.
    pub(super) fn take_left(&self) -> bool {
        self.left.take()
    }

    fn leave(&self, hub: &Hub, coroutine: &Rc<Coroutine>) -> bool {
        let mut kept = self.kept.borrow_mut();
        let room = kept.len() < KEPT;
        if room {
            kept.push(coroutine.clone());
            self.left.set(true);
            hub.spares.fetch_add(1, Ordering::Relaxed);
        }
        room
    }
}

/// The first function of every coroutine: runs the current green thread, and
/// then, as a spare, those that are started on it.
pub(super) fn serve() {
    let mut spare = None;
    loop {
        let pooled = current::with(|task| {
            root::run(task);
            task.green()
                .is_some_and(|green| stacks::is_default(green.stack_size))
        });
        let Some(local) = current::local().filter(|_| pooled) else {
            return;
        };
        let spare = spare.get_or_insert_with(Rc::<Coroutine>::default);
        if !local.spares.leave(local.hub, spare) {
            return;
        }
        spare.suspend();
        current::with(|task| task.green().map(assert_home));
    }
}
