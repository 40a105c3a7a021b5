//! The wakers of those who poll one direction of a descriptor, instead of waiting there as a thread.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use crate::future;
use crate::sys::lock::Lock;

/// At most one waker for each poller.
pub(super) struct Wakers {
    /// Whether there are any: a look without the lock.
    any: AtomicBool,
    left: Lock<Left>,
}

/// One place needs no allocation: nearly every line has one poller at most.
struct Left {
    first: Option<Entry>,
    others: Vec<Entry>,
}

struct Entry {
    poller: u64,
    waker: Waker,
}

impl Left {
    fn entry(&mut self, poller: u64) -> Option<&mut Entry> {
        let mut all = self.first.iter_mut().chain(&mut self.others);
        all.find(|entry| entry.poller == poller)
    }

    /// Gives back what stood in its place.
    fn put(&mut self, entry: Entry) -> Option<Entry> {
        if let Some(place) = self.entry(entry.poller) {
            return Some(mem::replace(place, entry));
        }
        match self.first {
            None => self.first = Some(entry),
            Some(_) => self.others.push(entry),
        }
        None
    }
}

impl Wakers {
    pub(super) fn new() -> Wakers {
        Wakers {
            any: AtomicBool::new(false),
            left: Lock::new(Left {
                first: None,
                others: Vec::new(),
            }),
        }
    }

    /// Leaves a waker in the place of `poller`. The caller must look at the line after that.
    pub(super) fn leave(&self, poller: u64, waker: &Waker) {
        let same = |entry: &mut Entry| entry.waker.will_wake(waker);
        if self.left.lock().entry(poller).is_some_and(same) {
            return;
        }
        // A waker's clone and drop are code of others: outside the lock.
        let waker = waker.clone();
        let old = {
            let mut left = self.left.lock();
            self.any.store(true, Ordering::SeqCst);
            left.put(Entry { poller, waker })
        };
        drop(old);
    }

    /// Takes the waker of `poller` back.
    pub(super) fn forget(&self, poller: u64) {
        if !self.any.load(Ordering::SeqCst) {
            return;
        }
        let taken = {
            let mut left = self.left.lock();
            let first = left.first.take_if(|entry| entry.poller == poller);
            let at = left.others.iter().position(|entry| entry.poller == poller);
            first.or_else(|| at.map(|at| left.others.swap_remove(at)))
        };
        drop(taken);
    }

    /// Calls every waker, and keeps none: a future that was woken may be dropped instead of polled,
    /// so none can be relied on to tell the next.
    #[inline]
    pub(super) fn wake_all(&self) {
        if self.any.load(Ordering::SeqCst) {
            self.take_and_wake();
        }
    }

    #[cold]
    fn take_and_wake(&self) {
        let (first, others) = {
            let mut left = self.left.lock();
            self.any.store(false, Ordering::SeqCst);
            (left.first.take(), mem::take(&mut left.others))
        };
        first
            .into_iter()
            .chain(others)
            .for_each(|entry| future::wake(entry.waker));
    }
}
