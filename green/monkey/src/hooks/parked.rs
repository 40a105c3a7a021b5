//! Green threads that are parked by an address: of a futex, a lock, a condition variable.
//!
//! Whoever parks counts itself and then looks at the word; whoever wakes changes the word and then
//! looks at the count. Nothing is allocated, freed or woken under a bucket's lock, since an
//! allocator may use futexes.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

use greenhub::Deadline;
use greenhub::foreign::{self, Waker};
use greenhub::wait_queue::ShortLock;

use super::late;

/// How a wait by an address ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parked {
    Woken,
    TimedOut,
    /// It was not needed any more.
    NotNeeded,
}

struct Entry {
    address: usize,
    mask: u32,
    id: u64,
    waker: Waker,
}

type Bucket = VecDeque<Entry>;

const BUCKETS: usize = 512;
static TABLE: [ShortLock<Bucket>; BUCKETS] = [const { ShortLock::new(VecDeque::new()) }; BUCKETS];
/// How many are parked or about to be.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Taken out of a bucket at a time.
const BATCH: usize = 16;
/// A bit mask that meets every other.
pub(super) const ANY: u32 = u32::MAX;

fn bucket(address: usize) -> &'static ShortLock<Bucket> {
    let mixed = (address >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &TABLE[mixed >> (usize::BITS - 9)]
}

/// Parks by `address` until it is woken with a mask that meets ours. `is_needed` looks at the word
/// once we are counted, under the bucket's lock: it must not wait or allocate. `then` runs once we
/// are found by wakers.
pub(super) fn park(
    what: &'static str,
    address: usize,
    mask: u32,
    deadline: Deadline,
    is_needed: impl FnOnce() -> bool,
    then: impl FnOnce(),
) -> Parked {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let bucket = bucket(address);
    let mut needed = true;
    let enqueue = |waker| {
        let mut room: Option<Bucket> = None;
        loop {
            let mut parked = bucket.lock();
            let len = parked.len();
            let old = if len < parked.capacity() {
                None
            } else if let Some(mut larger) = room.take().filter(|room| room.capacity() > len) {
                larger.extend(parked.drain(..));
                Some(std::mem::replace(&mut *parked, larger))
            } else {
                drop(parked);
                room = Some(VecDeque::with_capacity(2 * len + 4));
                continue;
            };
            COUNT.fetch_add(1, Ordering::SeqCst);
            needed = is_needed();
            let declined = match needed {
                true => {
                    parked.push_back(Entry {
                        address,
                        mask,
                        id,
                        waker,
                    });
                    None
                }
                false => {
                    COUNT.fetch_sub(1, Ordering::SeqCst);
                    Some(waker)
                }
            };
            drop(parked);
            drop((old, declined));
            if needed {
                then();
            }
            return needed;
        }
    };
    let dequeue = || {
        let mut parked = bucket.lock();
        let ours = parked.iter().position(|entry| entry.id == id);
        let ours = ours.and_then(|at| parked.remove(at));
        drop(parked);
        if ours.is_some() {
            COUNT.fetch_sub(1, Ordering::SeqCst);
        }
    };
    match foreign::park(what, deadline, enqueue, dequeue) {
        _ if !needed => Parked::NotNeeded,
        true => Parked::Woken,
        false => Parked::TimedOut,
    }
}

/// Wakes at most `most` of those who are parked by `address` with a mask that meets `mask`, in
/// the order in which they came; says how many.
pub(super) fn wake(address: usize, mask: u32, most: usize) -> usize {
    // Orders the caller's change of the word before the look.
    fence(Ordering::SeqCst);
    if COUNT.load(Ordering::SeqCst) == 0 {
        return 0;
    }
    if foreign::is_inside() {
        late::wake(address);
        return 0;
    }
    let bucket = bucket(address);
    let mut woken = 0;
    while woken < most {
        let mut batch: [Option<Waker>; BATCH] = [const { None }; BATCH];
        let mut taken = 0;
        let mut parked = bucket.lock();
        let mut at = 0;
        while taken < BATCH.min(most - woken) && at < parked.len() {
            let entry = &parked[at];
            if entry.address == address && entry.mask & mask != 0 {
                batch[taken] = parked.remove(at).map(|entry| entry.waker);
                taken += 1;
            } else {
                at += 1;
            }
        }
        drop(parked);
        COUNT.fetch_sub(taken, Ordering::SeqCst);
        if taken == 0 {
            break;
        }
        // One whose time is up meanwhile does not count.
        woken += batch
            .into_iter()
            .flatten()
            .filter_map(|waker| waker.wake().then_some(()))
            .count();
    }
    woken
}

/// Starts what delivers the wake-ups that could not be delivered where they came, once.
pub(crate) fn start_late_wakes() -> io::Result<()> {
    late::start(|address| _ = wake(address, ANY, usize::MAX))
}
