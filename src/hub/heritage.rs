//! What a thread hands down to those that it starts: the values of
//! [`Inherited`](crate::green_thread::Inherited).
//!
//! A [`Heritage`] is shared by all threads that have the same values, and never changed: setting a
//! value makes another one. So a start costs one reference count, and nothing if nobody ever set a
//! value.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether any thread has ever set a value.
static USED: AtomicBool = AtomicBool::new(false);

pub(crate) type Value = Arc<dyn Any + Send + Sync>;

#[inline(always)]
pub(crate) fn is_used() -> bool {
    USED.load(Ordering::Relaxed)
}

/// To be called before a value is set.
pub(crate) fn is_used_from_now_on() {
    USED.store(true, Ordering::Relaxed);
}

/// The values of one thread, by key.
#[derive(Clone, Default)]
pub(crate) struct Heritage(Option<Arc<[(usize, Value)]>>);

impl Heritage {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn get(&self, key: usize) -> Option<&Value> {
        let entries = self.0.as_deref()?;
        let entry = entries.iter().find(|(other, _)| *other == key)?;
        Some(&entry.1)
    }

    /// The same with this value, or none, for `key`.
    pub(crate) fn with(&self, key: usize, value: Option<Value>) -> Heritage {
        let entries = self.0.iter().flat_map(|entries| entries.iter());
        let others = entries.filter(|(other, _)| *other != key).cloned();
        let all: Arc<[_]> = others.chain(value.map(|value| (key, value))).collect();
        Heritage((!all.is_empty()).then_some(all))
    }
}
