//! One direction of a descriptor: whether it is ready, and who waits for it.

use std::sync::atomic::{AtomicU32, Ordering};

use super::wakers::Wakers;
use crate::wait_queue::WaitQueue;

/// What is known of one direction: ready or not, how many edges, who waits.
pub(super) struct Line {
    /// Bit 0: ready. Bit 1: an end, an error or urgent data was seen, so a short
    /// read does not mean an empty buffer. The rest counts edges, so that a
    /// look before a call and a verdict after it fit together.
    word: AtomicU32,
    pub(super) waiters: WaitQueue,
    pub(super) wakers: Wakers,
}

const READY: u32 = 1;
const ENDING: u32 = 2;
const EDGE: u32 = 4;

/// What a look at a line showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen(u32);

impl Seen {
    /// How many edges there have been.
    pub(super) fn edges(self) -> u32 {
        self.0 / EDGE
    }

    #[inline]
    pub(super) fn is_ready(self) -> bool {
        self.0 & READY != 0
    }

    #[inline]
    pub(super) fn is_ending(self) -> bool {
        self.0 & ENDING != 0
    }
}

impl Line {
    pub(super) fn new(ready: bool) -> Line {
        Line {
            word: AtomicU32::new(if ready { READY } else { 0 }),
            waiters: WaitQueue::new(),
            wakers: Wakers::new(),
        }
    }

    #[inline]
    pub(super) fn look(&self) -> Seen {
        Seen(self.word.load(Ordering::SeqCst))
    }

    /// Notes that the direction has nothing left, unless an edge came
    /// since `seen`.
    #[inline]
    pub(super) fn exhausted(&self, seen: Seen) {
        if seen.is_ready() {
            let _ = self.word.compare_exchange(
                seen.0,
                seen.0 & !READY,
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
        }
    }

    /// An edge: ready again, for the first in the queue and for all who poll. Called by the hub that
    /// the descriptor is registered with, or by whoever knows of a change that the kernel does not
    /// report.
    pub(super) fn edge(&self, ending: bool) {
        let mut seen = self.word.load(Ordering::SeqCst);
        loop {
            let next = (seen.wrapping_add(EDGE)) | READY | if ending { ENDING } else { 0 };
            match self
                .word
                .compare_exchange_weak(seen, next, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        self.wake_next();
        self.wakers.wake_all();
    }

    /// Called after a call has returned: the next in the queue may try, if
    /// there may be something left.
    #[inline]
    pub(super) fn pass_on(&self) {
        if !self.waiters.is_empty() && self.look().is_ready() {
            self.wake_next();
        }
    }

    fn wake_next(&self) {
        if !self.waiters.is_empty() {
            self.waiters.wake_one_then(|_, _| ());
        }
    }
}
