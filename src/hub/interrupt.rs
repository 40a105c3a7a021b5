//! Kills and time limits: how they reach a thread that waits.
//!
//! Both arrive as an unwind with a private payload, raised at the wait under
//! way or the next one, so that code which retries on every error cannot
//! swallow them. A wait that is entered while its thread unwinds, for whatever
//! reason, raises nothing: a second unwind would abort the process. A limit that
//! was set inside the destructor itself is the exception: what it raises is
//! caught before it leaves the destructor.
//!
//! `std::thread::panicking()` alone cannot tell who unwinds: it is true for a
//! whole OS thread as long as any of its green threads is parked inside a
//! destructor that a panic runs. So each task carries a flag, set just before we
//! raise and by a panic hook, and each hub counts who is parked that way.
//!
//! The flag can be out of date in one case: a thread has caught a panic, and
//! ever since a neighbour has been parked inside a destructor. Such a thread
//! counts as unwinding until its first wait without such a neighbour; to take it
//! for unwinding is a late interrupt, the other mistake would abort the process.

use std::any::Any;
use std::cell::Cell;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::current;
use super::task::{Kind, Task};
use super::wait_word::Phase;
use crate::clock::Nanos;

/// Why we unwind a thread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interrupt {
    Kill,
    /// The limit of this scope passed.
    Elapsed {
        scope: u64,
    },
}

impl Interrupt {
    /// Whether the limit of `scope` raised it.
    pub(crate) fn is_of(self, scope: u64) -> bool {
        matches!(self, Interrupt::Elapsed { scope: passed } if passed == scope)
    }
}

/// The payload of an unwind that we raise. Once it is dropped, the thread does
/// not unwind any more, unless it has begun to anew.
#[derive(Debug)]
pub(crate) struct Raised {
    pub(crate) interrupt: Interrupt,
    task: u64,
    unwind: u32,
}

impl Drop for Raised {
    fn drop(&mut self) {
        current::with_known(|task| {
            let interrupts = &task.interrupts;
            if task.id == self.task && interrupts.unwind.load(Ordering::Relaxed) == self.unwind {
                interrupts.caught();
            }
        });
    }
}

/// What a wait of a thread must not be ended by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Masked {
    Nothing,
    /// By a kill: the thread is inside a destructor that an unwind runs, and
    /// there inside a block with a time limit.
    Kills,
    All,
}

#[derive(Debug)]
pub(crate) struct Interrupts {
    /// Set by a killer, for good.
    killed: AtomicBool,
    // The rest is touched by the thread itself alone.
    /// Waits may not be interrupted while this is above zero.
    masks: AtomicU32,
    /// The limit that passes first of all those in force, and its scope.
    limit: AtomicU64,
    scope: AtomicU64,
    /// How often an interrupt has been raised.
    raised: AtomicU32,
    /// How often an unwind has begun, as far as we know.
    unwinds: AtomicU32,
    /// The number of the one under way, or of the last.
    unwind: AtomicU32,
    unwinding: AtomicBool,
    /// How many of the time limits in force were set during an unwind.
    nested: AtomicU32,
}

impl Default for Interrupts {
    fn default() -> Interrupts {
        Interrupts {
            killed: AtomicBool::new(false),
            masks: AtomicU32::new(0),
            limit: AtomicU64::new(Nanos::NEVER.0),
            scope: AtomicU64::new(0),
            raised: AtomicU32::new(0),
            unwinds: AtomicU32::new(0),
            unwind: AtomicU32::new(0),
            unwinding: AtomicBool::new(false),
            nested: AtomicU32::new(0),
        }
    }
}

impl Interrupts {
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// Kills a thread that has not started.
    pub(crate) fn mark_killed(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    /// The limit in force and its scope.
    pub(crate) fn limit(&self) -> (Nanos, u64) {
        (
            Nanos(self.limit.load(Ordering::Relaxed)),
            self.scope.load(Ordering::Relaxed),
        )
    }

    pub(crate) fn set_limit(&self, (limit, scope): (Nanos, u64)) {
        self.limit.store(limit.0, Ordering::Relaxed);
        self.scope.store(scope, Ordering::Relaxed);
    }

    /// To be called when an unwind has been caught.
    pub(crate) fn caught(&self) {
        self.unwinding.store(false, Ordering::Relaxed);
    }

    /// To be called just before an unwind begins; gives its number.
    fn unwinds(&self) -> u32 {
        self.unwinding.store(true, Ordering::Relaxed);
        let number = self.unwinds.fetch_add(1, Ordering::Relaxed) + 1;
        self.unwind.store(number, Ordering::Relaxed);
        number
    }

    /// Sets a limit inside a destructor that an unwind runs. Until
    /// [`leave_nested`](Interrupts::leave_nested) the thread counts as one that
    /// does not unwind. Gives the number of the unwind around it.
    pub(crate) fn enter_nested(&self, limit: (Nanos, u64)) -> u32 {
        self.nested.fetch_add(1, Ordering::Relaxed);
        self.caught();
        self.set_limit(limit);
        self.unwind.load(Ordering::Relaxed)
    }

    /// The unwind around the block goes on. Payloads of those inside, should any
    /// be dropped only later, say nothing about it.
    pub(crate) fn leave_nested(&self, outer: (Nanos, u64), unwind: u32) {
        self.nested.fetch_sub(1, Ordering::Relaxed);
        self.unwinding.store(true, Ordering::Relaxed);
        self.unwind.store(unwind, Ordering::Relaxed);
        self.set_limit(outer);
    }
}

/// As [`std::panic::resume_unwind`], which the panic hook does not hear of.
pub(crate) fn resume_unwind(payload: Box<dyn Any + Send>) -> ! {
    current::with_known(|task| task.interrupts.unwinds());
    panic::resume_unwind(payload)
}

thread_local! {
    static IN_PANIC_HOOK: Cell<bool> = const { Cell::new(false) };
}

/// Whether the process can unwind at all.
pub(crate) const CAN_UNWIND: bool = cfg!(panic = "unwind");

impl Task {
    /// Kills the thread: it unwinds at the wait under way or the next one.
    pub(crate) fn kill(self: &Arc<Task>) {
        self.interrupts.mark_killed();
        if let Some(ticket) = self.word.open_ticket() {
            self.wake(ticket, Phase::Interrupted);
        }
    }

    /// Whether this thread, which is the running one, is unwinding, so that
    /// another unwind would abort.
    pub(crate) fn is_unwinding(&self) -> bool {
        if !std::thread::panicking() {
            self.interrupts.caught();
            return false;
        }
        if self.interrupts.unwinding.load(Ordering::Relaxed) {
            return true;
        }
        // Somebody on this OS thread unwinds. If nobody is parked who does, it
        // is us: a user's call of std's `resume_unwind` tells no hook.
        let ours = !self.is_nested()
            && match &self.kind {
                Kind::Os(_) => true,
                Kind::Green(_) => {
                    current::local().is_some_and(|local| local.parked_unwinding.get() == 0)
                }
            };
        self.interrupts.unwinding.store(ours, Ordering::Relaxed);
        ours
    }

    /// Whether this thread, which is the running one, is unwinding, be it
    /// around a block with a time limit inside a destructor.
    pub(crate) fn is_panicking(&self) -> bool {
        self.is_nested() || self.is_unwinding()
    }

    fn is_nested(&self) -> bool {
        self.interrupts.nested.load(Ordering::Relaxed) > 0
    }

    /// What may not end a wait of this thread, which is the running one.
    pub(crate) fn masked(&self) -> Masked {
        if self.interrupts.masks.load(Ordering::Relaxed) > 0 || self.is_unwinding() {
            Masked::All
        } else if self.is_nested() {
            Masked::Kills
        } else {
            Masked::Nothing
        }
    }

    /// Raises what is to be raised before this thread, which is the running
    /// one, may wait.
    pub(crate) fn raise_pending(&self, masked: Masked) {
        if masked == Masked::Nothing && self.interrupts.is_killed() {
            self.raise(Interrupt::Kill);
        }
        let (limit, scope) = self.interrupts.limit();
        if masked != Masked::All && !limit.is_never() && limit <= Nanos::now() {
            self.raise(Interrupt::Elapsed { scope });
        }
    }

    /// Unwinds the running thread, which is this one.
    pub(crate) fn raise(&self, interrupt: Interrupt) -> ! {
        if self.interrupts.raised.fetch_add(1, Ordering::Relaxed) > 0 {
            // Somebody catches and waits again in a loop: the others must run.
            if let Some(local) = current::local().filter(|_| self.green().is_some()) {
                current::with(|task| local.requeue(task));
            }
        }
        panic::resume_unwind(Box::new(Raised {
            interrupt,
            task: self.id,
            unwind: self.interrupts.unwinds(),
        }))
    }
}

/// While it lives, waits of the running thread are not interrupted.
#[derive(Debug)]
pub(crate) struct Mask(Arc<Task>);

impl Mask {
    pub(crate) fn new() -> Mask {
        current::with(|task| {
            task.interrupts.masks.fetch_add(1, Ordering::Relaxed);
            Mask(task.clone())
        })
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        self.0.interrupts.masks.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether the OS thread is running a panic hook, where a green thread must not
/// suspend: a neighbour's panic would then be one inside a panic.
pub(crate) fn in_panic_hook() -> bool {
    IN_PANIC_HOOK.get()
}

/// Puts our hook in front of the one there: it marks the green thread that
/// panics. Must run on an OS thread that is not panicking.
pub(crate) fn install_panic_hook() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        current::with_known(|task| task.interrupts.unwinds());
        let outer = IN_PANIC_HOOK.replace(true);
        previous(info);
        IN_PANIC_HOOK.set(outer);
    }));
}
