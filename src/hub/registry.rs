//! What a hub's poller knows: a token for each registered descriptor.
//!
//! A token is a slot's number and the generation that filled it. So an event for a descriptor that
//! is no longer registered, because it was fetched in the same batch or because a duplicate keeps
//! the open file alive, finds nobody.
//!
//! An epoll instance accepts an open file under the same number only once. If several wait for it,
//! a socket and somebody who knows its number, they share a slot.

use std::os::fd::RawFd;
use std::sync::Arc;

use crate::sys::lock::Lock;
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
    inner: Lock<Inner>,
}

#[derive(Default)]
struct Inner {
    slots: Slab<Slot>,
    generation: u32,
}

struct Slot {
    generation: u32,
    first: Arc<dyn Ready>,
    /// Those who came after the first.
    others: Vec<Arc<dyn Ready>>,
}

impl Slot {
    fn all(&self) -> impl Iterator<Item = &Arc<dyn Ready>> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl Registry {
    /// A token for `ready`, valid until it is removed.
    pub(crate) fn insert(&self, ready: Arc<dyn Ready>) -> u64 {
        let mut inner = self.inner.lock();
        inner.generation = inner.generation.wrapping_add(1);
        let generation = inner.generation;
        let key = inner.slots.insert(Slot {
            generation,
            first: ready,
            others: Vec::new(),
        });
        token(generation, key)
    }

    /// Adds `ready` to the slot of the descriptor `fd`, if there is one, and gives
    /// the slot's token.
    pub(crate) fn join(&self, fd: RawFd, ready: Arc<dyn Ready>) -> Option<u64> {
        let mut inner = self.inner.lock();
        // Should there be several, the newest is the one that the poller knows.
        let of_fd = |(_, slot): &(usize, &mut Slot)| slot.first.known().fd == fd;
        let newest = |(_, slot): &(usize, &mut Slot)| slot.generation;
        let (key, slot) = inner.slots.iter_mut().filter(of_fd).max_by_key(newest)?;
        slot.others.push(ready);
        Some(token(slot.generation, key))
    }

    /// Takes `who` out of the token's slot. If it was the last one there, `last` is
    /// called before anybody else can have joined.
    pub(crate) fn remove(&self, token: u64, who: *const (), last: impl FnOnce()) {
        let mut inner = self.inner.lock();
        let (key, generation) = parts(token);
        let Some(slot) = inner.slots.get_mut(key) else {
            return;
        };
        if slot.generation != generation {
            return;
        }
        let is_who = |ready: &Arc<dyn Ready>| Arc::as_ptr(ready).cast() == who;
        let left = if !is_who(&slot.first) {
            let at = slot.others.iter().position(is_who);
            at.map(|at| slot.others.swap_remove(at))
        } else if let Some(next) = slot.others.pop() {
            Some(std::mem::replace(&mut slot.first, next))
        } else {
            let slot = inner.slots.remove(key);
            last();
            Some(slot.first)
        };
        drop(inner);
        drop(left);
    }

    /// Hands each event to whoever registered for it.
    pub(crate) fn deliver(&self, events: impl Iterator<Item = (u64, u32)>) {
        let inner = self.inner.lock();
        for (token, events) in events {
            let (key, generation) = parts(token);
            let slot = inner.slots.get(key);
            if let Some(slot) = slot.filter(|slot| slot.generation == generation) {
                slot.all().for_each(|ready| ready.deliver(events));
            }
        }
    }

    /// Every descriptor that is registered.
    pub(crate) fn known(&self) -> Vec<Known> {
        let inner = self.inner.lock();
        inner
            .slots
            .iter()
            .map(|(_, slot)| slot.first.known())
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.inner.lock().slots.len()
    }
}

fn token(generation: u32, slot: usize) -> u64 {
    u64::from(generation) << 32 | slot as u64
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

    fn address(seen: &Arc<Seen>) -> *const () {
        Arc::as_ptr(seen).cast()
    }

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
    fn a_stale_token_reaches_nobody() {
        let registry = Registry::default();
        let (old, new) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
        let old_token = registry.insert(old.clone());
        registry.remove(old_token, address(&old), || ());
        let new_token = registry.insert(new.clone());
        assert_eq!(
            parts(old_token).0,
            parts(new_token).0,
            "the slot is used again"
        );
        registry.deliver([(old_token, 1), (new_token, 4)].into_iter());
        registry.remove(old_token, address(&old), || panic!("it has left before"));
        assert_eq!(old.0.load(Ordering::Relaxed), 0);
        assert_eq!(new.0.load(Ordering::Relaxed), 4);
        assert_eq!(registry.len(), 1);
    }

    #[test]
    fn those_who_wait_for_one_descriptor_share_a_slot_until_the_last_has_left() {
        let registry = Registry::default();
        let all = [(); 3].map(|()| Arc::new(Seen::default()));
        assert_eq!(registry.join(-1, all[0].clone()), None, "nobody to join");
        let token = registry.insert(all[0].clone());
        assert_eq!(registry.join(7, all[1].clone()), None, "of another number");
        for other in &all[1..] {
            assert_eq!(registry.join(-1, other.clone()), Some(token));
        }
        let reached = |events: u32| {
            registry.deliver([(token, events)].into_iter());
            all.each_ref()
                .map(|seen| seen.0.swap(0, Ordering::Relaxed) == events)
        };
        assert_eq!(reached(1), [true; 3]);
        let not_last = || panic!("somebody is left");
        registry.remove(token, address(&all[0]), not_last);
        assert_eq!(reached(2), [false, true, true]);
        registry.remove(token, address(&all[0]), not_last);
        registry.remove(token, address(&all[2]), not_last);
        assert_eq!(reached(3), [false, true, false]);
        let mut last = false;
        registry.remove(token, address(&all[1]), || last = true);
        assert!(last);
        assert_eq!((reached(4), registry.len()), ([false; 3], 0));
    }
}
