//! What can end a thread's waits: its kill, its time limits, and what keeps them off.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::deadline::{AtomicDeadline, Deadline};

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
    #[inline]
    pub(crate) fn is_of(self, scope: u64) -> bool {
        matches!(self, Interrupt::Elapsed { scope: passed } if passed == scope)
    }

    /// No two that are in force at the same time have the same. Scopes count from 1.
    fn number(self) -> u64 {
        match self {
            Interrupt::Kill => u64::MAX,
            Interrupt::Elapsed { scope } => scope,
        }
    }
}

/// The payload of an unwind that we raise.
#[derive(Debug)]
pub(crate) struct Raised(pub(crate) Interrupt);

/// What a wait of a thread must not be ended by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Masked {
    Nothing,
    /// By a kill: the thread is inside a destructor that an unwind runs, and there inside a block
    /// with a time limit; or it is shielded. The limit in force was set inside that code, and its
    /// unwind does not leave it.
    Kills,
    All,
}

#[derive(Debug)]
pub(crate) struct Interrupts {
    /// Set by a killer, for good.
    killed: AtomicBool,
    // The rest is touched by the thread itself alone.
    /// How many [`Mask`]s there are, each of them [`MASK`], and how many [`Shield`]s, each 1.
    masks: AtomicU32,
    /// The limit that passes first of all those in force, and its scope.
    limit: AtomicDeadline,
    scope: AtomicU64,
    /// How often an interrupt has been raised, or reported by a code.
    pub(super) raised: AtomicU32,
    /// The scope of the limit that was last reported by a code, until its block ends.
    pub(super) told: AtomicU64,
    /// Which interrupt was last reported by a code, by its [number](Interrupt::number); and how often in a row.
    last_told: AtomicU64,
    times_told: AtomicU32,
    /// Whether a sleep has ended early by that one.
    pub(super) woke_a_sleep: AtomicBool,
    /// Killed before its first run; what it had captured is being dropped.
    unrun: AtomicBool,
    /// Of the time limits in force that were set during an unwind, the innermost:
    /// an address in the frame that catches what is raised inside. 0 for none.
    pub(super) nested: AtomicUsize,
}

impl Default for Interrupts {
    fn default() -> Interrupts {
        Interrupts {
            killed: AtomicBool::new(false),
            masks: AtomicU32::new(0),
            limit: AtomicDeadline::new(Deadline::NEVER),
            scope: AtomicU64::new(0),
            raised: AtomicU32::new(0),
            told: AtomicU64::new(0),
            last_told: AtomicU64::new(0),
            times_told: AtomicU32::new(0),
            woke_a_sleep: AtomicBool::new(false),
            unrun: AtomicBool::new(false),
            nested: AtomicUsize::new(0),
        }
    }
}

impl Interrupts {
    #[inline]
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// No kill ends a wait of the thread, nor keeps it from beginning: one of the runtime's own. To be called before it
    /// starts, or when nothing is left of it but its last destructors.
    pub(crate) fn shield_for_life(&self) {
        self.masks.store(1, Ordering::Relaxed);
    }

    /// How much keeps interrupts off the running thread, which is this one.
    #[inline]
    pub(crate) fn masks(&self) -> u32 {
        self.masks.load(Ordering::Relaxed)
    }

    /// Keeps more off, and gives how much did before. To be called by the thread itself, as is the next one: so
    /// neither has to be one step to others.
    #[inline]
    pub(super) fn add_masks(&self, more: u32) -> u32 {
        let before = self.masks();
        self.masks.store(before + more, Ordering::Relaxed);
        before
    }

    #[inline]
    pub(super) fn remove_masks(&self, fewer: u32) {
        self.masks.store(self.masks() - fewer, Ordering::Relaxed);
    }

    /// Kills a thread that has not started.
    #[inline]
    pub(crate) fn mark_killed(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    /// Whether the thread drops what it had captured instead of running.
    #[inline]
    pub(crate) fn is_unrun(&self) -> bool {
        self.unrun.load(Ordering::Relaxed)
    }

    /// To be called by the thread itself.
    #[inline]
    pub(crate) fn set_unrun(&self, unrun: bool) {
        self.unrun.store(unrun, Ordering::Relaxed);
    }

    /// The limit in force and its scope.
    #[inline]
    pub(crate) fn limit(&self) -> (Deadline, u64) {
        (self.limit.get(), self.scope.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn set_limit(&self, (limit, scope): (Deadline, u64)) {
        self.limit.set(limit);
        self.scope.store(scope, Ordering::Relaxed);
    }

    /// Whether a wait inside the block of `scope`, which is over, was told that its
    /// limit had passed.
    #[inline]
    pub(crate) fn was_told(&self, scope: u64) -> bool {
        let told = self.told.load(Ordering::Relaxed) == scope;
        if told {
            self.told.store(0, Ordering::Relaxed);
        }
        told
    }

    /// Notes that `interrupt` is reported by a code once more; gives how often it has been before.
    pub(super) fn count_told(&self, interrupt: Interrupt) -> u32 {
        let number = interrupt.number();
        if self.last_told.swap(number, Ordering::Relaxed) != number {
            self.times_told.store(0, Ordering::Relaxed);
            self.woke_a_sleep.store(false, Ordering::Relaxed);
        }
        self.times_told.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a sleep has ended early by `interrupt`.
    pub(super) fn has_woken_a_sleep(&self, interrupt: Interrupt) -> bool {
        self.last_told.load(Ordering::Relaxed) == interrupt.number()
            && self.woke_a_sleep.load(Ordering::Relaxed)
    }

    /// Sets a limit inside a destructor that an unwind runs. Until
    /// [`leave_nested`](Interrupts::leave_nested) the thread counts as one that does not unwind,
    /// unless another unwind begins within the frame of `base`. Gives the base of the block around
    /// it, for later.
    #[inline]
    pub(crate) fn enter_nested(&self, limit: (Deadline, u64), base: usize) -> usize {
        self.set_limit(limit);
        self.nested.swap(base, Ordering::Relaxed)
    }

    /// The unwind around the block goes on.
    #[inline]
    pub(crate) fn leave_nested(&self, outer: (Deadline, u64), base: usize) {
        self.nested.store(base, Ordering::Relaxed);
        self.set_limit(outer);
    }
}

/// What a mask counts for in `masks`: more than all shields that there can be.
pub(super) const MASK: u32 = 1 << 16;
