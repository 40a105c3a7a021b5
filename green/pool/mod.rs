//! [`GreenPool`]: green threads, but no more than so many at a time; [`GreenPile`]: their results in
//! order.
//!
//! A pool starts a green thread for each task; who would start one too many waits until one ends.
//! So a server serves no more connections, and a crawler opens no more, than it can afford.
//!
//! # A task that spawns into its own pool
//!
//! If all the others in a full pool did the same, each would wait for another to end. So a task that
//! spawns into its own full pool lends the new one its place, and goes on when that has ended. There
//! are never more running than the pool has places, and what was spawned always runs.
//!
//! # Differences from eventlet
//!
//! What fails gives its panic in place of its value; in eventlet it raises it in the one who asks.
//! A task that was lent a place runs as a green thread of its own. [`imap`](GreenPool::imap) starts
//! its tasks while it is being iterated over, from the thread that does so.

mod imap;
mod pile;
mod slot;

use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
    time::{Duration, Instant},
};

use slot::{Place, Slot, Slots};

pub use imap::Imap;
pub use pile::GreenPile;

use crate::thread::{self, JoinHandle};

/// Runs tasks as green threads, no more than its size at a time.
///
/// A clone is another handle to the same pool. When the last one goes, what runs goes on.
///
/// A place is free again as soon as the task's function has returned, panicked or been killed, before
/// anybody who joins it goes on. Whoever waits for a place gets one in the order in which it came; one
/// that is killed or runs out of time meanwhile has started nothing.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use green::{pool::GreenPool, thread::sleep};
///
/// let pool = GreenPool::new(10);
/// let handles: Vec<_> = (0..100)
///     .map(|number| {
///         pool.spawn(move || {
///             sleep(Duration::from_millis(1));
///             number * 2
///         })
///     })
///     .collect();
/// let sum: u32 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
/// assert_eq!(sum, 9900);
/// assert_eq!(pool.free(), 10);
/// ```
#[derive(Clone)]
pub struct GreenPool {
    slots: Arc<Slots>,
}

impl GreenPool {
    /// A pool of this many places. In one without a place nothing runs until it is
    /// [resized](GreenPool::resize).
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_PERMITS`](crate::semaphore::MAX_PERMITS).
    #[must_use]
    pub fn new(size: usize) -> GreenPool {
        GreenPool {
            slots: Slots::new(size),
        }
    }

    /// Starts a task, and parks until there is a place for it.
    ///
    /// # Panics
    ///
    /// If the green thread cannot be started, as [`thread::spawn`] does; the place is free again then.
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.start(self.slots.place(), f)
    }

    /// As [`spawn`](GreenPool::spawn), for a task whose result nobody wants.
    ///
    /// # Panics
    ///
    /// As [`spawn`](GreenPool::spawn).
    pub fn spawn_n<F: FnOnce() + Send + 'static>(&self, f: F) {
        drop(self.spawn(f));
    }

    /// As [`spawn`](GreenPool::spawn), but waits for a place no longer than `limit`.
    ///
    /// # Errors
    ///
    /// Gives the function back if the limit passed.
    ///
    /// # Panics
    ///
    /// As [`spawn`](GreenPool::spawn).
    pub fn spawn_timeout<F, T>(&self, limit: Duration, f: F) -> Result<JoinHandle<T>, F>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.slots.place_until(Instant::now().checked_add(limit)) {
            Some(place) => Ok(self.start(place, f)),
            None => Err(f),
        }
    }

    /// As [`spawn`](GreenPool::spawn), if there is a place free right now.
    ///
    /// # Errors
    ///
    /// Gives the function back if there is none, also to a task of this pool.
    ///
    /// # Panics
    ///
    /// As [`spawn`](GreenPool::spawn).
    pub fn try_spawn<F, T>(&self, f: F) -> Result<JoinHandle<T>, F>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.slots.try_place() {
            Some(place) => Ok(self.start(place, f)),
            None => Err(f),
        }
    }

    fn start<F, T>(&self, place: Place, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let handle = self.start_in(place.slot, f);
        if place.is_lent {
            handle.wait();
        }
        handle
    }

    fn start_in<F, T>(&self, slot: Arc<Slot>, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        thread::spawn(move || slot.occupy(f))
    }

    /// Parks until nothing runs any more and nobody waits for a place; at once if that is so. What was
    /// spawned has returned by then.
    ///
    /// # Panics
    ///
    /// In a task of this pool, which would wait for itself.
    pub fn waitall(&self) {
        self.slots.wait_until_idle(None);
    }

    /// As [`waitall`](GreenPool::waitall), for no longer than `limit`; false if it passed.
    ///
    /// # Panics
    ///
    /// As [`waitall`](GreenPool::waitall).
    #[must_use]
    pub fn waitall_timeout(&self, limit: Duration) -> bool {
        self.slots
            .wait_until_idle(Instant::now().checked_add(limit))
    }

    /// How many places there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.slots.size()
    }

    /// Changes how many places there are. More serves those who wait for one; if there are to be
    /// fewer than run, the places that are too many go as tasks end.
    ///
    /// # Panics
    ///
    /// As [`new`](GreenPool::new).
    pub fn resize(&self, size: usize) {
        self.slots.resize(size);
    }

    /// How many tasks could be spawned now without waiting.
    #[must_use]
    pub fn free(&self) -> usize {
        self.slots.free()
    }

    /// How many places are taken. A task and the one that it lent its place count as one.
    #[must_use]
    pub fn running(&self) -> usize {
        self.slots.running()
    }

    /// How many threads wait for a place.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.slots.waiting()
    }

    /// Calls `f` with each item, each call in a task of this pool, and gives the results in the order
    /// of the items.
    ///
    /// The tasks are started as the results are asked for, as many ahead as the pool has places for,
    /// so any number of items takes the same memory. A call that panics gives its panic in its
    /// place, and the rest goes on. Dropping the iterator lets the calls under way run to their end.
    ///
    /// For a function of several arguments let the items be tuples:
    /// `pool.imap(|(a, b)| a + b, pairs)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let squares = GreenPool::new(4).imap(|n| n * n, 1..=5).map(Result::unwrap);
    /// assert_eq!(squares.collect::<Vec<_>>(), [1, 4, 9, 16, 25]);
    /// ```
    #[doc(alias = "starmap")]
    pub fn imap<F, I, T>(&self, f: F, items: I) -> Imap<F, I::IntoIter, T>
    where
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Send + 'static,
        T: Send + 'static,
    {
        Imap::new(self.clone(), f, items.into_iter())
    }

    /// A pile of tasks of this pool.
    #[must_use]
    pub fn pile<T: Send + 'static>(&self) -> GreenPile<T> {
        GreenPile::new(self.clone())
    }
}

/// A panic leaves a pool as it was.
impl UnwindSafe for GreenPool {}
impl RefUnwindSafe for GreenPool {}

/// As in eventlet, a thousand places.
impl Default for GreenPool {
    fn default() -> GreenPool {
        GreenPool::new(1000)
    }
}

impl fmt::Debug for GreenPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GreenPool")
            .field("size", &self.size())
            .field("running", &self.running())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
