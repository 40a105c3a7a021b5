//! Poisoning: a lock remembers that somebody panicked while holding it.

use std::sync::{
    LockResult, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// The mark on a lock.
pub(super) struct Poison {
    poisoned: AtomicBool,
}

/// What a guard must remember: whether its owner was panicking already when it took the lock, for
/// such a guard says nothing about the data.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    was_panicking: bool,
}

impl Poison {
    pub(super) const fn new() -> Poison {
        Poison {
            poisoned: AtomicBool::new(false),
        }
    }

    #[inline]
    pub(super) fn enter(&self) -> Entry {
        Entry {
            was_panicking: panicking(),
        }
    }

    #[inline]
    pub(super) fn leave(&self, entry: Entry) {
        if !entry.was_panicking && panicking() {
            self.poisoned.store(true, Relaxed);
        }
    }

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.poisoned.load(Relaxed)
    }

    #[inline]
    pub(super) fn clear(&self) {
        self.poisoned.store(false, Relaxed);
    }

    /// Wraps `data` as the state of the lock demands.
    #[inline]
    pub(super) fn check<T>(&self, data: T) -> LockResult<T> {
        if self.is_set() {
            Err(PoisonError::new(data))
        } else {
            Ok(data)
        }
    }
}

/// Whether this green thread (or OS thread) is unwinding.
///
/// std's answer is for the whole OS thread, neighbours of a hub included, and is therefore only the
/// quick first question: it costs one relaxed load as long as nothing in the process panics.
#[inline]
pub(super) fn panicking() -> bool {
    std::thread::panicking() && greenhub::green_thread::panicking()
}
