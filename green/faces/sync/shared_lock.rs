//! The reader-writer exclusion under [`RwLock`](super::RwLock): a word and two queues, no data, no
//! poison.
//!
//! Taking and leaving it is one compare-and-swap each way as long as nobody waits. It is *fair by
//! phases*: a reader that comes while a writer waits queues behind that writer; when a writer
//! leaves, all readers that queue enter together, and when the last of those leaves, one writer.
//! So neither kind can starve the other. A waiter that is woken owns the lock already: it was
//! handed over, by whoever left, in order of arrival within its kind.
//!
//! | part of the word  | means                                    | set by                          | cleared by                        |
//! |-------------------|------------------------------------------|---------------------------------|-----------------------------------|
//! | `WRITER`          | a writer owns the lock                   | a writer, or the last reader    | a writer; stays when handed over  |
//! | `READERS_WAIT`    | the readers' queue may hold a waiter     | a reader, under its queue lock  | whoever lets the readers in       |
//! | count of readers  | that many readers own the lock           | a reader, or who lets it in     | each reader                       |
//! | count of waiting  | that many writers queue, or are dying    | a writer, under its queue lock  | who hands over, or a dying writer |

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use greenhub::Deadline;
use greenhub::wait_queue::{WaitQueue, Wake, give_way};

const WRITER: u64 = 1;
const READERS_WAIT: u64 = 2;
const READER: u64 = 4;
const READERS: u64 = (1 << 32) - READER;
const WAITING_WRITER: u64 = 1 << 32;
const WAITING_WRITERS: u64 = !(WAITING_WRITER - 1);

pub(in crate::faces) struct SharedLock {
    state: AtomicU64,
    readers: WaitQueue,
    writers: WaitQueue,
}

/// Who comes next if both kinds wait.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    Readers,
    Writer,
}

impl SharedLock {
    pub(in crate::faces) const fn new() -> SharedLock {
        SharedLock {
            state: AtomicU64::new(0),
            readers: WaitQueue::new(),
            writers: WaitQueue::new(),
        }
    }

    #[inline]
    pub(in crate::faces) fn try_read(&self) -> bool {
        self.try_read_if(admits_reader)
    }

    #[inline]
    fn try_read_if(&self, admits: fn(u64) -> bool) -> bool {
        let mut state = self.state.load(Relaxed);
        loop {
            if !admits(state) {
                return false;
            }
            match self
                .state
                .compare_exchange_weak(state, state + READER, Acquire, Relaxed)
            {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
    }

    #[inline]
    pub(in crate::faces) fn read(&self) {
        give_way();
        if !self.try_read() {
            self.read_contended(Deadline::NEVER, admits_reader);
        }
    }

    /// As [`read`](SharedLock::read), until `deadline` at most; says whether the lock was taken.
    #[cfg(feature = "parking_lot")]
    pub(in crate::faces) fn read_until(&self, deadline: Deadline) -> bool {
        give_way();
        self.try_read() || self.read_contended(deadline, admits_reader)
    }

    /// As [`read_until`](SharedLock::read_until), but goes before writers that wait: for a reader
    /// that may be one already.
    #[cfg(feature = "parking_lot")]
    pub(in crate::faces) fn read_again_until(&self, deadline: Deadline) -> bool {
        give_way();
        self.try_read_again() || self.read_contended(deadline, admits_reader_again)
    }

    #[cfg(feature = "parking_lot")]
    pub(in crate::faces) fn try_read_again(&self) -> bool {
        self.try_read_if(admits_reader_again)
    }

    #[inline]
    pub(in crate::faces) fn try_write(&self) -> bool {
        self.state
            .try_update(Acquire, Relaxed, |state| {
                is_free(state).then_some(state | WRITER)
            })
            .is_ok()
    }

    #[inline]
    pub(in crate::faces) fn write(&self) {
        give_way();
        if self
            .state
            .compare_exchange(0, WRITER, Acquire, Relaxed)
            .is_err()
        {
            self.write_contended(Deadline::NEVER);
        }
    }

    /// As [`write`](SharedLock::write), until `deadline` at most; says whether the lock was taken.
    #[cfg(feature = "parking_lot")]
    pub(in crate::faces) fn write_until(&self, deadline: Deadline) -> bool {
        give_way();
        self.try_write() || self.write_contended(deadline)
    }

    /// Whether somebody owns the lock, and whether that is a writer.
    #[cfg(feature = "parking_lot")]
    pub(in crate::faces) fn owned(&self) -> (bool, bool) {
        let state = self.state.load(Relaxed);
        (!is_free(state), state & WRITER != 0)
    }

    /// Leaves the lock, which the caller must own as a reader.
    #[inline]
    pub(in crate::faces) fn unlock_read(&self) {
        let state = self.state.fetch_sub(READER, Release) - READER;
        if is_free(state) && state != 0 {
            self.pass_on();
        }
    }

    /// Leaves the lock, which the caller must own as the writer.
    #[inline]
    pub(in crate::faces) fn unlock_write(&self) {
        if self
            .state
            .compare_exchange(WRITER, 0, Release, Relaxed)
            .is_err()
        {
            self.leave(Next::Readers);
        }
    }

    /// Makes the writer that owns the lock a reader, and lets the readers in that queue.
    pub(in crate::faces) fn downgrade(&self) {
        // The writer's bit and a reader's are exchanged in one step: nobody gets in between.
        self.state.fetch_add(READER - WRITER, Release);
        self.admit_readers();
    }

    #[cold]
    fn read_contended(&self, deadline: Deadline, admits: fn(u64) -> bool) -> bool {
        loop {
            let wake = self.readers.wait("RwLock::read", deadline, || {
                self.state
                    .try_update(Relaxed, Relaxed, |state| {
                        (!admits(state)).then_some(state | READERS_WAIT)
                    })
                    .is_ok()
            });
            match wake {
                Wake::NotNeeded if self.try_read_if(admits) => return true,
                Wake::NotNeeded => {}
                Wake::TimedOut => return false,
                Wake::Woken => {
                    // Who woke us has counted us. Read what the last writer released.
                    self.state.load(Acquire);
                    return true;
                }
            }
        }
    }

    #[cold]
    fn write_contended(&self, deadline: Deadline) -> bool {
        while !self.try_write() {
            let mut waiting = WaitingWriter {
                lock: self,
                counted: false,
            };
            let wake = self.writers.wait("RwLock::write", deadline, || {
                waiting.counted = self
                    .state
                    .try_update(Relaxed, Relaxed, |state| {
                        (!is_free(state)).then_some(state + WAITING_WRITER)
                    })
                    .is_ok();
                waiting.counted
            });
            match wake {
                Wake::NotNeeded => {}
                Wake::TimedOut => return false,
                Wake::Woken => {
                    // Who woke us has taken us off the count.
                    waiting.counted = false;
                    self.state.load(Acquire);
                    return true;
                }
            }
        }
        true
    }

    /// Called when the lock became free although somebody may wait: gives it to the next, unless a
    /// newcomer takes it first (who will pass it on in turn).
    #[cold]
    fn pass_on(&self) {
        if self.try_write() {
            self.leave(Next::Writer);
        }
    }

    /// Leaves the lock, owned as the writer, to whoever waits.
    #[cold]
    fn leave(&self, next: Next) {
        loop {
            let state = self.state.load(Relaxed);
            let readers_wait = state & READERS_WAIT != 0;
            let writers_wait = state & WAITING_WRITERS != 0;
            if writers_wait && (next == Next::Writer || !readers_wait) {
                return self.leave_to_writer();
            } else if readers_wait {
                return self.leave_to_readers();
            } else if self
                .state
                .compare_exchange(state, state & !WRITER, Release, Relaxed)
                .is_ok()
            {
                return;
            }
        }
    }

    /// Writers are counted. If none is there to choose, they unwind just now; then the lock is
    /// freed before another can queue, which would look in vain for somebody to wake it.
    fn leave_to_writer(&self) {
        let mut left = false;
        let handed_over = self.writers.wake_one_then(|woken, _| {
            if woken {
                self.state.fetch_sub(WAITING_WRITER, Release);
            } else {
                let freed = self.state.try_update(Release, Relaxed, |state| {
                    (state & READERS_WAIT == 0).then_some(state & !WRITER)
                });
                left = freed.is_ok();
            }
        });
        if handed_over {
            // It may have come and gone before it was taken off the count.
            self.admit_stranded();
        } else if !left {
            self.leave_to_readers();
        }
    }

    /// Lets the readers in that queue; the last of all to leave passes the lock on.
    fn leave_to_readers(&self) {
        self.downgrade();
        self.unlock_read();
    }

    /// For whoever takes a writer off the count: lets readers in that queue only because of it.
    fn admit_stranded(&self) {
        let admitted = self.state.try_update(Acquire, Relaxed, |state| {
            (state & READERS_WAIT != 0 && admits_reader(state)).then_some(state + READER)
        });
        if admitted.is_ok() {
            self.admit_readers();
            self.unlock_read();
        }
    }

    /// Lets every reader in that queues. The caller owns the lock as a reader, which keeps the
    /// count above zero meanwhile.
    fn admit_readers(&self) {
        // A reader that queues after this sets the bit again.
        self.state.fetch_and(!READERS_WAIT, Relaxed);
        // Counted before it is woken, for it may leave the lock again at once.
        self.state.fetch_add(READER, Relaxed);
        while self.readers.wake_one() {
            self.state.fetch_add(READER, Relaxed);
        }
        self.state.fetch_sub(READER, Release);
    }
}

fn is_free(state: u64) -> bool {
    state & (WRITER | READERS) == 0
}

fn admits_reader(state: u64) -> bool {
    admits_reader_again(state) && state & WAITING_WRITERS == 0
}

fn admits_reader_again(state: u64) -> bool {
    assert!(
        state & READERS != READERS,
        "too many active read locks on RwLock"
    );
    state & WRITER == 0
}

/// A writer in the queue. If it leaves there unserved, readers that queue behind it must not stay.
struct WaitingWriter<'a> {
    lock: &'a SharedLock,
    counted: bool,
}

impl Drop for WaitingWriter<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.lock.state.fetch_sub(WAITING_WRITER, Relaxed);
            self.lock.admit_stranded();
        }
    }
}

#[cfg(test)]
mod tests;
