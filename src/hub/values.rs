//! What a thread keeps for itself: the values of [`thread_local!`](crate::thread_local!).
//!
//! # Safety
//!
//! A slot is reached by its own thread alone, or by the OS thread that all who
//! share it run on. A value sits in a box of its own until the thread ends.
#![expect(unsafe_code, reason = "values of any type, kept for one thread")]

use std::any::Any;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::contain::or_abort;
use crate::sys::lock::Lock;

/// All values of one thread, by key.
#[derive(Default)]
pub(crate) struct Values {
    slots: Lock<Vec<Slot>>,
    /// Whether one was made since the last end: a look without the lock, by the thread itself.
    any: AtomicBool,
}

/// The value is being, or has been, dropped.
#[derive(Debug)]
pub(crate) struct Gone;

struct Slot {
    /// By its address.
    key: usize,
    /// `None` once it is being dropped.
    value: Option<Pinned>,
    /// Whether dropping the value runs code. If not, destructors of other
    /// values find it where it was, as in std.
    needs_drop: bool,
}

struct Pinned(Box<dyn Any>);

// SAFETY: made, used and dropped by its own thread alone (module, # Safety): a
// green thread ends its own values, an OS thread its own.
unsafe impl Send for Pinned {}

impl Values {
    /// Drops every value, the last one made first, also those that destructors
    /// make. Called by the thread itself at its end. A panic there aborts, as in
    /// std.
    pub(crate) fn end(&self) {
        if self.is_any() {
            self.any.store(false, Ordering::Relaxed);
            or_abort("thread local panicked on drop", || self.drop_all());
        }
    }

    #[inline]
    pub(super) fn is_any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// The value of `key`, if it has been made.
    pub(crate) fn find<T: 'static>(&self, key: usize) -> Result<Option<*const T>, Gone> {
        let slots = self.slots.lock();
        match slots.iter().find(|slot| slot.key == key) {
            None => Ok(None),
            Some(Slot { value: None, .. }) => Err(Gone),
            Some(Slot {
                value: Some(value), ..
            }) => Ok(value.0.downcast_ref().map(std::ptr::from_ref)),
        }
    }

    /// Keeps a value for `key`.
    pub(crate) fn insert<T: 'static>(&self, key: usize, made: Box<T>) -> *const T {
        let value = std::ptr::from_ref(&*made);
        self.any.store(true, Ordering::Relaxed);
        let replaced = {
            let mut slots = self.slots.lock();
            let pinned = Some(Pinned(made));
            match slots.iter_mut().find(|slot| slot.key == key) {
                // `init` has used the key itself: the outer value stays.
                Some(slot) => mem::replace(&mut slot.value, pinned),
                None => {
                    slots.push(Slot {
                        key,
                        value: pinned,
                        needs_drop: mem::needs_drop::<T>(),
                    });
                    None
                }
            }
        };
        drop(replaced);
        value
    }

    fn drop_all(&self) {
        loop {
            let value = {
                let mut slots = self.slots.lock();
                let last = slots
                    .iter_mut()
                    .rev()
                    .filter(|slot| slot.needs_drop)
                    .find_map(|slot| slot.value.take());
                if last.is_none() {
                    // Those whose dropping runs no code.
                    slots.retain(|slot| slot.needs_drop);
                }
                last
            };
            match value {
                // Not under the lock: its destructor may use other keys.
                Some(value) => drop(value),
                None => return,
            }
        }
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        // The thread took the values out at its end. Should it have come to
        // nothing (a hub's own OS thread at the end of the process), they stay.
        for slot in self.slots.get_mut().drain(..) {
            mem::forget(slot.value);
        }
    }
}
