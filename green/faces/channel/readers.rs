//! Threads that wait in `recv` for a value of a channel that has a buffer.
//!
//! They need no entry of their own: any value will do, and whoever is woken
//! finds one that was put aside for it. Threads in a `select`, and both sides of
//! a channel without a buffer, wait by entries ([`State`](super::state)).
//!
//! No value and no wake-up is lost: a sender holds the channel's lock, announces
//! that there is something to receive and then looks who waits, under the
//! queue's lock; a receiver looks at the announcement under that lock and then
//! queues. So it is either found or does not wait. One that has been woken
//! always comes for its value, also if it is being killed.

use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};

use greenhub::Deadline;
use greenhub::wait_queue::{WaitQueue, Wake};

#[derive(Default)]
pub(super) struct Readers {
    queue: WaitQueue,
    /// Whether it may be of use to try again, rather than to wait.
    announced: AtomicBool,
}

impl Readers {
    /// To be called under the channel's lock by a receiver that has found
    /// nothing and will [`wait`](Readers::wait).
    pub(super) fn prepare(&self) {
        self.announced.store(false, Release);
    }

    /// Waits to be woken, or until something is announced. Not to be called
    /// under the channel's lock, which wakers hold.
    pub(super) fn wait(&self, deadline: Deadline) -> Wake {
        self.queue
            .wait("channel: recv", deadline, || !self.announced.load(Acquire))
    }

    /// Wakes the one that has waited longest; if there is none, those about to
    /// wait try again instead. To be called under the channel's lock.
    pub(super) fn wake_one(&self) -> bool {
        self.announced.store(true, Release);
        let woken = self.queue.wake_one_then(|_, _| ());
        if woken {
            self.announced.store(false, Release);
        }
        woken
    }

    /// Makes everybody try again.
    pub(super) fn wake_all(&self) {
        self.announced.store(true, Release);
        self.queue.wake_all();
    }
}
