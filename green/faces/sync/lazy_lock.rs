//! [`LazyLock`].
#![expect(
    unsafe_code,
    reason = "a cell that hands out references once it is written"
)]

use std::{
    cell::UnsafeCell,
    fmt,
    ops::{Deref, DerefMut},
    panic::{RefUnwindSafe, UnwindSafe},
};

use super::Once;

/// A value that is made at its first use, as [`std::sync::LazyLock`]; green threads park while
/// another makes it.
///
/// # Differences from std
///
/// The closure may park.
///
/// # Examples
///
/// ```
/// use green::sync::LazyLock;
///
/// static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| "a b c".split(' ').collect());
///
/// assert_eq!(WORDS.len(), 3);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    once: Once,
    /// `Value` exactly if `once` is completed; only the initialiser of `once` changes it.
    slot: UnsafeCell<Slot<T, F>>,
}

enum Slot<T, F> {
    Maker(F),
    Value(T),
    /// The maker has been taken out to run; it stays so if it panics.
    Taken,
}

// SAFETY: `once` orders the one change before all reads; the value and the maker may be sent to
// the thread that runs the one and drops the other.
unsafe impl<T: Sync + Send, F: Send> Sync for LazyLock<T, F> {}
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}
impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// Creates a value that `f` will make.
    #[inline]
    pub const fn new(f: F) -> LazyLock<T, F> {
        LazyLock {
            once: Once::new(),
            slot: UnsafeCell::new(Slot::Maker(f)),
        }
    }

    /// Makes the value, if that has not been done, and waits for a thread that is making it.
    ///
    /// # Panics
    ///
    /// If the closure panics, now or at an earlier use.
    #[inline]
    #[track_caller]
    pub fn force(this: &LazyLock<T, F>) -> &T {
        if !this.once.is_completed() {
            this.make();
        }
        // SAFETY: completed, so that nobody changes the slot through `&` any more.
        match unsafe { &*this.slot.get() } {
            Slot::Value(value) => value,
            Slot::Maker(_) | Slot::Taken => unreachable!("a completed LazyLock holds its value"),
        }
    }

    /// As [`force`](LazyLock::force), mutably.
    ///
    /// # Panics
    ///
    /// If the closure panics, now or at an earlier use.
    #[inline]
    #[track_caller]
    pub fn force_mut(this: &mut LazyLock<T, F>) -> &mut T {
        LazyLock::force(this);
        match this.slot.get_mut() {
            Slot::Value(value) => value,
            Slot::Maker(_) | Slot::Taken => unreachable!("a completed LazyLock holds its value"),
        }
    }

    #[cold]
    #[track_caller]
    fn make(&self) {
        self.once.call_once_force(|state| {
            // The maker that panicked is gone. Panicking again leaves the `Once` poisoned.
            assert!(
                !state.is_poisoned(),
                "LazyLock instance has previously been poisoned"
            );
            // SAFETY: this is the initialiser; nobody reads the slot before `once` is completed.
            let slot = unsafe { &mut *self.slot.get() };
            if let Slot::Maker(make) = std::mem::replace(slot, Slot::Taken) {
                *slot = Slot::Value(make());
            }
        });
    }
}

impl<T, F> LazyLock<T, F> {
    /// The value, if it has been made. Never waits.
    #[inline]
    pub fn get(this: &LazyLock<T, F>) -> Option<&T> {
        if !this.once.is_completed() {
            return None;
        }
        // SAFETY: completed, so that nobody changes the slot through `&` any more.
        match unsafe { &*this.slot.get() } {
            Slot::Value(value) => Some(value),
            Slot::Maker(_) | Slot::Taken => None,
        }
    }

    /// The value, mutably, if it has been made.
    #[inline]
    pub fn get_mut(this: &mut LazyLock<T, F>) -> Option<&mut T> {
        match this.slot.get_mut() {
            Slot::Value(value) => Some(value),
            Slot::Maker(_) | Slot::Taken => None,
        }
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        LazyLock::force_mut(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    /// A value that `T::default` will make.
    #[inline]
    fn default() -> LazyLock<T> {
        LazyLock::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("LazyLock");
        match LazyLock::get(self) {
            Some(value) => shown.field(value),
            None => shown.field(&format_args!("<uninit>")),
        };
        shown.finish()
    }
}

#[cfg(test)]
mod tests;
