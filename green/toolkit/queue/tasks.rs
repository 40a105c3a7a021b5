//! How many items of a queue are still being worked on.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use greenhub::Deadline;
use greenhub::wait_queue::{WaitQueue, Wake, give_way};

use super::error::NothingOutstanding;

#[derive(Default)]
pub(super) struct Tasks {
    outstanding: AtomicUsize,
    joiners: WaitQueue,
}

impl Tasks {
    /// Counts an item that is about to be put: a getter may be done with it before the putter has
    /// returned.
    pub(super) fn announce(&self) -> CountedItem<'_> {
        self.outstanding.fetch_add(1, SeqCst);
        CountedItem(self)
    }

    pub(super) fn done(&self) -> Result<(), NothingOutstanding> {
        let before = self
            .outstanding
            .try_update(SeqCst, SeqCst, |outstanding| outstanding.checked_sub(1))
            .map_err(|_| NothingOutstanding)?;
        if before == 1 {
            self.joiners.wake_all();
        }
        Ok(())
    }

    /// Nobody will work on these.
    pub(super) fn give_up(&self, items: usize) {
        for _ in 0..items {
            // Somebody may have said that he was done with one that he never had.
            let _ = self.done();
        }
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.load(SeqCst)
    }

    /// Parks until nothing is outstanding; false if `deadline` passed first.
    pub(super) fn join(&self, deadline: Deadline) -> bool {
        give_way();
        while self.outstanding() > 0 {
            let wake = self
                .joiners
                .wait("queue: join", deadline, || self.outstanding() > 0);
            if wake == Wake::TimedOut {
                return self.outstanding() == 0;
            }
        }
        true
    }
}

/// An item that is counted, and counted no more if it is not put after all.
pub(super) struct CountedItem<'a>(&'a Tasks);

impl CountedItem<'_> {
    pub(super) fn put(self) {
        std::mem::forget(self);
    }
}

impl Drop for CountedItem<'_> {
    fn drop(&mut self) {
        // It has been counted, so this cannot be one too many, unless somebody said that it was
        // done with an item that it never had.
        let _ = self.0.done();
    }
}

/// What `LightQueue` has in place of [`Tasks`].
#[derive(Default)]
pub(super) struct NoTasks;

pub(super) struct NotCounted;

impl NoTasks {
    pub(super) fn announce(&self) -> NotCounted {
        NotCounted
    }

    pub(super) fn give_up(&self, _items: usize) {}
}

impl NotCounted {
    pub(super) fn put(self) {}
}
