//! [`GreenPool`]: green threads, but no more than so many at a time; [`GreenPile`]: their results in
//! order; [`Group`]: green threads that are killed and waited for together.
//!
//! A pool starts a green thread for each task; whoever would start one too many waits until one ends.
//! So a server serves no more connections, and a crawler opens no more, than it can afford.
//!
//! # A task that spawns into its own pool
//!
//! If all tasks of a full pool did this, each would wait for another to end. So a task that spawns
//! into its own full pool lends its place to the new task, and goes on when that has ended. There are
//! never more running than the pool has places, and what was spawned always runs. Only a
//! [`timeout`](crate::timeout()) that cuts the lender's wait short has both run in one place.
//!
//! # Differences from eventlet
//!
//! A task that fails gives its panic in place of its value; in eventlet the exception is raised in
//! whoever asks. A task that was lent a place still runs as a green thread of its own.
//! [`imap`](GreenPool::imap) and [`starmap`](GreenPool::starmap) start their tasks while they are
//! iterated over, from the thread that does so.
//!
//! # Examples
//!
//! ```
//! use green::pool::GreenPool;
//!
//! // At most a hundred at once, however many there are.
//! let pool = GreenPool::new(100);
//! let doubled: Vec<u32> = pool.imap(|n| n * 2, 1..=3).map(Result::unwrap).collect();
//! assert_eq!(doubled, [2, 4, 6]);
//! ```

mod group;
mod imap;
mod pile;
mod slot;
mod spread;

use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
    time::Duration,
};

use slot::{Place, Slot, Slots};

pub use group::Group;
pub use imap::Imap;
pub use pile::GreenPile;
pub use spread::Spread;

use crate::metrics::{Figure, Metrics};
use crate::thread::{self, JoinHandle};
use greenhub::Deadline;

/// Runs tasks as green threads, no more than its size at a time.
///
/// A clone is another handle to the same pool. When the last one is dropped, tasks that run go on.
///
/// A place is free again as soon as the task's function has returned, panicked or been killed, before
/// anybody who joins it goes on. Places are given in order of arrival; a thread that is killed or runs
/// out of time while it waits for one has started nothing.
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
    /// A pool with this many places. With 0, nothing runs until it is [resized](GreenPool::resize).
    ///
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let pool = GreenPool::new(3);
    /// assert_eq!((pool.size(), pool.free()), (3, 3));
    /// ```
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
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let pool = GreenPool::new(1);
    /// let first = pool.spawn(|| 40);
    /// // Waits until the first has ended.
    /// let second = pool.spawn(|| 2);
    /// assert_eq!(first.join().unwrap() + second.join().unwrap(), 42);
    /// ```
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
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    ///
    /// use green::pool::GreenPool;
    ///
    /// static DONE: AtomicU32 = AtomicU32::new(0);
    ///
    /// let pool = GreenPool::new(2);
    /// for _ in 0..5 {
    ///     pool.spawn_n(|| {
    ///         DONE.fetch_add(1, Relaxed);
    ///     });
    /// }
    /// pool.waitall();
    /// assert_eq!(DONE.load(Relaxed), 5);
    /// ```
    ///
    /// # Panics
    ///
    /// As [`spawn`](GreenPool::spawn).
    pub fn spawn_n<F: FnOnce() + Send + 'static>(&self, f: F) {
        drop(self.spawn(f));
    }

    /// As [`spawn`](GreenPool::spawn), but waits for a place no longer than `limit`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::pool::GreenPool;
    ///
    /// let pool = GreenPool::new(1);
    /// let first = pool.spawn(green::thread::park);
    /// assert!(pool.spawn_timeout(Duration::from_millis(1), || 7).is_err());
    /// first.thread().unpark();
    /// let second = pool.spawn_timeout(Duration::from_secs(60), || 7);
    /// assert!(second.is_ok_and(|second| second.join().unwrap() == 7));
    /// ```
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
        match self.slots.place_until(Deadline::after(limit)) {
            Some(place) => Ok(self.start(place, f)),
            None => Err(f),
        }
    }

    /// As [`spawn`](GreenPool::spawn), if there is a place free right now.
    ///
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let pool = GreenPool::new(1);
    /// let first = pool.spawn(green::thread::park);
    /// // Nobody has called it yet.
    /// let task = pool.try_spawn(|| 7).err().unwrap();
    /// assert_eq!(task(), 7);
    /// first.kill().unwrap();
    /// let _ = first.join();
    /// assert!(pool.try_spawn(|| 7).is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// Gives the function back if there is none, even if a task of this pool calls this.
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
        // As one value: if it is killed before its first turn, what `f` captured is gone before the place is free.
        let task = (f, slot);
        thread::spawn(move || Slot::occupy(task))
    }

    /// Parks until nothing runs any more and nobody waits for a place; returns at once if that is so
    /// already. What was spawned has returned by then.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    ///
    /// use green::pool::GreenPool;
    ///
    /// let (pool, done) = (GreenPool::default(), Arc::new(AtomicUsize::new(0)));
    /// for _ in 0..10 {
    ///     let done = done.clone();
    ///     pool.spawn(move || done.fetch_add(1, SeqCst));
    /// }
    /// pool.waitall();
    /// assert_eq!(done.load(SeqCst), 10);
    /// assert_eq!(pool.running(), 0);
    /// ```
    ///
    /// # Panics
    ///
    /// In a task of this pool, which would wait for itself.
    pub fn waitall(&self) {
        self.slots.wait_until_idle(Deadline::NEVER);
    }

    /// As [`waitall`](GreenPool::waitall), for no longer than `limit`; false if it passed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::pool::GreenPool;
    ///
    /// let pool = GreenPool::new(2);
    /// let task = pool.spawn(green::thread::park);
    /// assert!(!pool.waitall_timeout(Duration::from_millis(1)));
    /// task.thread().unpark();
    /// assert!(pool.waitall_timeout(Duration::from_secs(60)));
    /// ```
    ///
    /// # Panics
    ///
    /// As [`waitall`](GreenPool::waitall).
    #[must_use]
    pub fn waitall_timeout(&self, limit: Duration) -> bool {
        self.slots.wait_until_idle(Deadline::after(limit))
    }

    /// How many places there are.
    ///
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let pool = GreenPool::default();
    /// assert_eq!(pool.size(), 1000);
    /// pool.resize(10);
    /// assert_eq!(pool.size(), 10);
    /// ```
    #[must_use]
    pub fn size(&self) -> usize {
        self.slots.size()
    }

    /// Changes how many places there are. New places go to those who wait for one; if there are to be
    /// fewer than tasks that run, places are removed as tasks end.
    ///
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let pool = GreenPool::new(2);
    /// let tasks = [pool.spawn(green::thread::park), pool.spawn(green::thread::park)];
    /// pool.resize(1);
    /// assert_eq!((pool.size(), pool.running(), pool.free()), (1, 2, 0));
    /// tasks.iter().for_each(|task| task.thread().unpark());
    /// pool.waitall();
    /// assert_eq!(pool.free(), 1);
    /// ```
    ///
    /// # Panics
    ///
    /// As [`new`](GreenPool::new).
    pub fn resize(&self, size: usize) {
        self.slots.resize(size);
    }

    /// How many tasks could be spawned now without waiting.
    ///
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let pool = GreenPool::new(2);
    /// let task = pool.spawn(green::thread::park);
    /// assert_eq!(pool.free(), 1);
    /// task.thread().unpark();
    /// task.join().unwrap();
    /// assert_eq!(pool.free(), 2);
    /// ```
    #[must_use]
    pub fn free(&self) -> usize {
        self.slots.free()
    }

    /// How many places are taken. A task and the one that it lent its place count as one.
    ///
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let pool = GreenPool::new(2);
    /// let task = pool.spawn(green::thread::park);
    /// assert_eq!(pool.running(), 1);
    /// task.thread().unpark();
    /// task.join().unwrap();
    /// assert_eq!(pool.running(), 0);
    /// ```
    #[must_use]
    pub fn running(&self) -> usize {
        self.slots.running()
    }

    /// How many threads wait for a place.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::{pool::GreenPool, thread};
    ///
    /// let pool = GreenPool::new(0);
    /// let theirs = pool.clone();
    /// let spawner = thread::spawn(move || theirs.spawn_n(|| ()));
    /// while pool.waiting() == 0 {
    ///     thread::sleep(Duration::from_millis(1));
    /// }
    /// pool.resize(1);
    /// spawner.join().unwrap();
    /// assert_eq!(pool.waiting(), 0);
    /// ```
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.slots.waiting()
    }
}

/// Its size, how many places are taken, how many threads wait for one, and how many places were taken ever.
///
/// ```
/// use green::metrics::{Metrics, prometheus};
/// use green::pool::GreenPool;
///
/// let pool = GreenPool::new(3);
/// pool.spawn(|| ()).join().unwrap();
/// let text = prometheus([("", &pool as &dyn Metrics)]);
/// assert!(text.contains("\ngreen_pool_size 3\n") && text.contains("\ngreen_pool_started_total 1\n"));
/// ```
impl Metrics for GreenPool {
    fn tell(&self, to: &mut dyn FnMut(Figure<'_>)) {
        let gauge = |name, help, value: usize| Figure::gauge(name, help, value as f64);
        to(gauge("green_pool_size", "Places of the pool.", self.size()));
        let running = "Places of the pool that are taken.";
        to(gauge("green_pool_running", running, self.running()));
        let waiting = "Threads that wait for a place of the pool.";
        to(gauge("green_pool_waiting", waiting, self.waiting()));
        let started = "Places of the pool that were taken, each by a task.";
        let taken = self.slots.taken();
        to(Figure::counter("green_pool_started_total", started, taken));
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
