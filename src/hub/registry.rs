//! What a hub's poller knows: a token for each registered descriptor.
//!
//! A token is a slot's number and the generation that filled it, so an event
//! for a descriptor that has left, fetched in the same batch or kept alive by a
//! duplicate of the open file, finds nobody.

use std::os::fd::RawFd;
use std::sync::Arc;

use parking_lot::Mutex;
use slab::Slab;

/// Who is told that a descriptor is ready. Called by the hub's loop; must not wait.
pub(crate) trait Ready: Send + Sync {
    /// `events` as epoll(7) reports them.
    fn deliver(&self, events: u32);

    /// What is known of the descriptor, for a listing.
    fn known(&self) -> Known;
}

/// A descriptor, and in which directions it is remembered to be ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) fd: RawFd,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// The token of the hub's own eventfd; no slot has this number.
pub(crate) const BELL: u64 = u64::MAX;

#[derive(Default)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    slots: Slab<(u32, Arc<dyn Ready>)>,
    generation: u32,
}

impl Registry {
    /// A token for `ready`, valid until it is removed.
    pub(crate) fn insert(&self, ready: Arc<dyn Ready>) -> u64 {
        let mut inner = self.inner.lock();
        inner.generation = inner.generation.wrapping_add(1);
        let generation = inner.generation;
        let slot = inner.slots.insert((generation, ready));
        u64::from(generation) << 32 | slot as u64
    }

    pub(crate) fn remove(&self, token: u64) {
        let mut inner = self.inner.lock();
        let (slot, generation) = parts(token);
        if inner.slots.get(slot).is_some_and(|(g, _)| *g == generation) {
            inner.slots.remove(slot);
        }
    }

    /// Hands each event to whoever registered for it.
    pub(crate) fn deliver(&self, events: impl Iterator<Item = (u64, u32)>) {
        let inner = self.inner.lock();
        for (token, events) in events {
            let (slot, generation) = parts(token);
            if let Some((_, ready)) = inner.slots.get(slot).filter(|(g, _)| *g == generation) {
                ready.deliver(events);
            }
        }
    }

    /// Every descriptor that is registered.
    pub(crate) fn known(&self) -> Vec<Known> {
        let inner = self.inner.lock();
        inner.slots.iter().map(|(_, slot)| slot.1.known()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.inner.lock().slots.len()
    }
}

fn parts(token: u64) -> (usize, u32) {
    ((token & u64::from(u32::MAX)) as usize, (token >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Default)]
    struct Seen(AtomicU32);

    impl Ready for Seen {
        fn deliver(&self, events: u32) {
            self.0.fetch_or(events, Ordering::Relaxed);
        }

        fn known(&self) -> Known {
            Known {
                fd: -1,
                readable: false,
                writable: false,
            }
        }
    }

    #[test]
    fn r7_a_stale_token_reaches_nobody() {
        let registry = Registry::default();
        let (old, new) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
        let old_token = registry.insert(old.clone());
        registry.remove(old_token);
        let new_token = registry.insert(new.clone());
        assert_eq!(
            parts(old_token).0,
            parts(new_token).0,
            "the slot is used again"
        );
        registry.deliver([(old_token, 1), (new_token, 4)].into_iter());
        registry.remove(old_token);
        assert_eq!(old.0.load(Ordering::Relaxed), 0);
        assert_eq!(new.0.load(Ordering::Relaxed), 4);
        assert_eq!(registry.len(), 1);
    }
}
