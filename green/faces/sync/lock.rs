//! The mutual exclusion under [`Mutex`](super::Mutex): one byte and a queue, no data, no poison.
//!
//! Taking and leaving a free lock is one compare-and-swap each way. Under contention the lock is
//! *eventually fair*: a newcomer may take a lock that is free just then, although others wait, so
//! that two hubs which pass a lock to and fro need not wait for a wake-up each time. But
//!
//! - that lasts for half a millisecond at most: who leaves the lock later than that, and finds the
//!   waiter that it was left to still on its way, hands the lock over to it;
//! - a waiter that comes up and finds the lock taken queues once more, and from then on the lock is
//!   handed over, in order of arrival, until that waiter has had its contender.
//!
//! | bit        | means                                        | set by                     | cleared by                                  |
//! |------------|----------------------------------------------|----------------------------|---------------------------------------------|
//! | `LOCKED`   | somebody owns the lock                       | its owner                  | its owner; stays set when handed over       |
//! | `WAITING`  | the queue may hold a waiter                  | a waiter, under queue lock | whoever leaves the lock, under queue lock   |
//! | `WOKEN`    | one waiter is on its way; wake no other      | whoever leaves the lock    | that waiter; or whoever hands over to it    |
//! | `BYPASSED` | a waiter came too late once: hand over       | that waiter, as it queues  | that waiter, when it has the lock or dies   |
//!
//! At most one waiter is on its way at a time, so at most one can have come too late, and a waiter
//! that comes up and finds `WOKEN` clear knows that it owns the lock.

use std::sync::atomic::{
    AtomicU8, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

use greenhub::Deadline;
use greenhub::wait_queue::{WaitQueue, Wake, give_way, now_us};

const LOCKED: u8 = 1;
const WAITING: u8 = 2;
const WOKEN: u8 = 4;
const BYPASSED: u8 = 8;

/// For how long newcomers may go before a waiter that is on its way.
const HEAD_START_US: u32 = 500;

pub(in crate::faces) struct Lock {
    state: AtomicU8,
    /// When `WOKEN` was set, as [`now_us`] has it. Written by the owner only.
    woken_at_us: AtomicU32,
    queue: WaitQueue,
}

impl Lock {
    pub(in crate::faces) const fn new() -> Lock {
        Lock {
            state: AtomicU8::new(0),
            woken_at_us: AtomicU32::new(0),
            queue: WaitQueue::new(),
        }
    }

    #[inline]
    pub(in crate::faces) fn lock(&self) {
        give_way();
        if self
            .state
            .compare_exchange(0, LOCKED, Acquire, Relaxed)
            .is_err()
        {
            self.lock_contended(Deadline::NEVER);
        }
    }

    /// As [`lock`](Lock::lock), until `deadline` at most; says whether the lock was taken.
    #[cfg(feature = "parking_lot")]
    #[inline]
    pub(in crate::faces) fn lock_until(&self, deadline: Deadline) -> bool {
        give_way();
        self.try_lock() || self.lock_contended(deadline)
    }

    #[cfg(feature = "parking_lot")]
    #[inline]
    pub(in crate::faces) fn is_locked(&self) -> bool {
        self.state.load(Relaxed) & LOCKED != 0
    }

    #[inline]
    pub(in crate::faces) fn try_lock(&self) -> bool {
        self.state
            .try_update(Acquire, Relaxed, |state| {
                (state & LOCKED == 0).then_some(state | LOCKED)
            })
            .is_ok()
    }

    /// Leaves the lock, which the caller must own.
    #[inline]
    pub(in crate::faces) fn unlock(&self) {
        if self
            .state
            .compare_exchange(LOCKED, 0, Release, Relaxed)
            .is_err()
        {
            self.unlock_contended();
        }
    }

    #[cold]
    fn lock_contended(&self, deadline: Deadline) -> bool {
        let mut contender = Contender {
            lock: self,
            standing: Standing::New,
        };
        while !contender.try_take() {
            let wake = self
                .queue
                .wait("Mutex::lock", deadline, || contender.queue());
            if wake == Wake::TimedOut {
                return false;
            }
            if wake != Wake::NotNeeded && self.state.load(Acquire) & WOKEN == 0 {
                return true; // Handed over; `contender` clears its mark.
            }
            if wake != Wake::NotNeeded {
                contender.standing = Standing::Woken;
            }
        }
        true
    }

    #[cold]
    fn unlock_contended(&self) {
        while let Some(hand_over) = self.leave_or_keep_to_wake() {
            let mut done = true;
            self.queue.wake_one_then(|woken, more_wait| {
                self.state.update(Release, Relaxed, |mut state| {
                    state &= !WAITING;
                    if more_wait {
                        state |= WAITING;
                    }
                    // One that was woken while the lock was still ours can have cleared the mark
                    // only by dying, and it left the wake-up to us: the next in the queue has it.
                    let died = woken && !hand_over && state & WOKEN == 0;
                    done = !died;
                    if !(died || woken && hand_over) {
                        state &= !LOCKED;
                    }
                    if !woken && !hand_over {
                        state &= !WOKEN;
                    }
                    state
                });
            });
            if done {
                return;
            }
        }
    }

    /// Leaves the lock, unless a waiter is to be woken first; then it returns whether that wake-up hands the lock over,
    /// and the lock stays ours until the queue has let go of that waiter.
    fn leave_or_keep_to_wake(&self) -> Option<bool> {
        let mut state = self.state.load(Relaxed);
        loop {
            let (next, wakes) = if state & WOKEN != 0 {
                let since = now_us().wrapping_sub(self.woken_at_us.load(Relaxed));
                let handed_over = since >= HEAD_START_US;
                (state & !if handed_over { WOKEN } else { LOCKED }, false)
            } else if state & WAITING == 0 {
                (state & !LOCKED, false)
            } else if state & BYPASSED != 0 {
                return Some(true);
            } else {
                self.woken_at_us.store(now_us(), Relaxed);
                (state | WOKEN, true)
            };
            match self
                .state
                .compare_exchange_weak(state, next, Release, Relaxed)
            {
                Err(now) => state = now,
                Ok(_) => return wakes.then_some(false),
            }
        }
    }
}

/// One thread's way to a contended lock. A thread that is killed on the way, or whose time is over, leaves nothing behind.
struct Contender<'a> {
    lock: &'a Lock,
    standing: Standing,
}

#[derive(Clone, Copy, PartialEq)]
enum Standing {
    /// Has not been woken yet.
    New,
    /// Was woken to try again, and holds `WOKEN`.
    Woken,
    /// Came too late once, and holds `BYPASSED`.
    Bypassed,
    /// Owns the lock.
    Done,
}

impl Contender<'_> {
    fn mark(&self) -> u8 {
        match self.standing {
            Standing::Woken => WOKEN,
            Standing::Bypassed => BYPASSED,
            Standing::New | Standing::Done => 0,
        }
    }

    /// True for a thread on its way if the lock has been handed over to it in the meantime.
    fn is_handed_over(&self, state: u8) -> bool {
        self.standing == Standing::Woken && state & WOKEN == 0
    }

    /// Takes the lock if it is free, or has been handed over.
    fn try_take(&mut self) -> bool {
        let mark = self.mark();
        let taken = self.lock.state.try_update(Acquire, Relaxed, |state| {
            (state & LOCKED == 0 || self.is_handed_over(state)).then_some((state | LOCKED) & !mark)
        });
        if taken.is_ok() {
            self.standing = Standing::Done;
        }
        taken.is_ok()
    }

    /// Runs under the queue's lock: true if there is something to wait for.
    fn queue(&mut self) -> bool {
        let was_woken = self.standing == Standing::Woken;
        let queued = self.lock.state.try_update(Relaxed, Relaxed, |state| {
            if state & LOCKED == 0 || self.is_handed_over(state) {
                return None;
            }
            let bypassed = if was_woken { BYPASSED } else { 0 };
            Some((state & !self.mark()) | WAITING | bypassed)
        });
        if queued.is_ok() && was_woken {
            self.standing = Standing::Bypassed;
        }
        queued.is_ok()
    }
}

impl Drop for Contender<'_> {
    fn drop(&mut self) {
        let mark = self.mark();
        if mark == 0 {
            return;
        }
        let before = self.lock.state.fetch_and(!mark, Acquire);
        // Killed on its way: the lock, or the wake-up, belongs to the next in the queue. Whoever has
        // the lock sees when leaving it that nobody is on its way any more.
        if self.is_handed_over(before) || self.standing == Standing::Woken && self.lock.try_lock() {
            self.lock.unlock();
        }
    }
}

#[cfg(test)]
mod tests;
