//! The places of a pool: who has one, who waits for one, and how one is lent.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
};

use greenhub::Deadline;
use greenhub::wait_queue::ShortLock;
use greenhub::{
    semaphore::{MAX_PERMITS, Semaphore},
    wait_queue::{WaitQueue, Wake, give_way},
};

greenhub::thread_local! {
    /// The slot that the running green thread occupies.
    static OCCUPIED: RefCell<Option<Arc<Slot>>> = const { RefCell::new(None) };
}

pub(super) struct Slots {
    free: Semaphore,
    size: ShortLock<usize>,
    running: AtomicUsize,
    /// Places that were taken, ever.
    taken: AtomicU64,
    /// Tasks that run, and threads that are about to start one.
    busy: AtomicUsize,
    /// Who waits until nothing is busy.
    idlers: WaitQueue,
}

/// One place that is taken: free again when the last owner lets go.
pub(super) struct Slot(Busy);

/// Keeps the pool from being idle.
struct Busy(Arc<Slots>);

/// A place for one more task.
pub(super) struct Place {
    pub(super) slot: Arc<Slot>,
    /// The place is lent by the running task, which must wait until the new one has ended.
    pub(super) is_lent: bool,
}

impl Slots {
    pub(super) fn new(size: usize) -> Arc<Slots> {
        Arc::new(Slots {
            free: Semaphore::named("green pool", size),
            size: ShortLock::new(size),
            running: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            idlers: WaitQueue::new(),
        })
    }

    pub(super) fn place(self: &Arc<Slots>) -> Place {
        self.place_until(Deadline::NEVER)
            .expect("there is no limit")
    }

    pub(super) fn place_until(self: &Arc<Slots>, deadline: Deadline) -> Option<Place> {
        if let Some(place) = self.try_place() {
            return Some(place);
        }
        if let Some(slot) = self.own() {
            return Some(Place {
                slot,
                is_lent: true,
            });
        }
        // Before the place is handed over: in between, nothing may run.
        let busy = Busy::new(self);
        self.free.acquire(deadline).then(|| busy.take())
    }

    pub(super) fn try_place(self: &Arc<Slots>) -> Option<Place> {
        self.free.try_acquire().then(|| Busy::new(self).take())
    }

    /// The running task's slot, if it is one of ours.
    fn own(self: &Arc<Slots>) -> Option<Arc<Slot>> {
        OCCUPIED
            .try_with(|slot| slot.borrow().clone())
            .ok()
            .flatten()
            .filter(|slot| Arc::ptr_eq(&slot.0.0, self))
    }

    pub(super) fn wait_until_idle(self: &Arc<Slots>, deadline: Deadline) -> bool {
        assert!(
            self.own().is_none(),
            "a task of a pool cannot wait for all of the pool, which includes itself"
        );
        give_way();
        let is_busy = || self.busy.load(SeqCst) > 0;
        while is_busy() {
            if self.idlers.wait("green pool: waitall", deadline, is_busy) == Wake::TimedOut {
                return !is_busy();
            }
        }
        true
    }

    pub(super) fn resize(&self, size: usize) {
        assert!(size <= MAX_PERMITS, "too many places for a pool");
        let mut old = self.size.lock();
        if size >= *old {
            self.free.add_permits(size - *old);
        } else {
            self.free.remove_permits(*old - size);
        }
        *old = size;
    }

    pub(super) fn size(&self) -> usize {
        *self.size.lock()
    }

    pub(super) fn free(&self) -> usize {
        self.free.available()
    }

    pub(super) fn running(&self) -> usize {
        self.running.load(SeqCst)
    }

    pub(super) fn waiting(&self) -> usize {
        self.free.waiting()
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }
}

impl Slot {
    /// Runs a task's function in this slot.
    pub(super) fn occupy<T>((f, slot): (impl FnOnce() -> T, Arc<Slot>)) -> T {
        OCCUPIED.with(|own| own.replace(Some(slot)));
        let _leave = Leave;
        f()
    }
}

struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        let slot = OCCUPIED.try_with(|slot| slot.take());
        drop(slot);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Busy(slots) = &self.0;
        slots.running.fetch_sub(1, SeqCst);
        slots.free.release();
    }
}

impl Busy {
    fn new(slots: &Arc<Slots>) -> Busy {
        slots.busy.fetch_add(1, SeqCst);
        Busy(slots.clone())
    }

    /// Makes a permit, which was acquired, a place.
    fn take(self) -> Place {
        self.0.running.fetch_add(1, SeqCst);
        self.0.taken.fetch_add(1, Relaxed);
        Place {
            slot: Arc::new(Slot(self)),
            is_lent: false,
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.busy.fetch_sub(1, SeqCst) == 1 {
            self.0.idlers.wake_all();
        }
    }
}
