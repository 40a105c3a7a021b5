//! Tasks in a pile, whose results come out in the order in which they were spawned.

use std::{collections::VecDeque, fmt, time::Duration};

use super::{GreenPool, imap::first, slot::Place};
use crate::thread::{self, JoinHandle};
use greenhub::Deadline;

/// # Piles
impl GreenPool {
    /// A pile of tasks of this pool.
    ///
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let pool = GreenPool::new(2);
    /// let (mut lengths, mut squares) = (pool.pile(), pool.pile());
    /// lengths.spawn(|| "three".len());
    /// squares.spawn(|| 3 * 3);
    /// assert_eq!(lengths.next().unwrap().unwrap(), 5);
    /// assert_eq!(squares.next().unwrap().unwrap(), 9);
    /// ```
    #[must_use]
    pub fn pile<T: Send + 'static>(&self) -> GreenPile<T> {
        GreenPile::new(self.clone())
    }
}

/// Many tasks that belong together: spawn them, then iterate over their results, which come in the
/// order in which they were spawned. A task that panicked gives its panic instead of its result.
///
/// Several piles may share a pool. Spawning and iterating may alternate: the iterator ends when there
/// is no more result to come, and goes on once something more has been spawned. A `next` that is cut
/// short by a [`timeout`](crate::timeout()) loses nothing. Dropping the pile lets its tasks run to
/// their end.
///
/// # Examples
///
/// ```
/// use green::pool::GreenPool;
///
/// let mut pile = GreenPool::new(5).pile();
/// for word in ["to", "be", "or"] {
///     pile.spawn(move || word.to_uppercase());
/// }
/// let words: Vec<_> = pile.by_ref().map(Result::unwrap).collect();
/// assert_eq!(words, ["TO", "BE", "OR"]);
/// assert!(pile.next().is_none());
/// ```
pub struct GreenPile<T> {
    pool: GreenPool,
    started: VecDeque<JoinHandle<T>>,
}

impl<T: Send + 'static> GreenPile<T> {
    /// A pile of tasks of `pool`.
    ///
    /// ```
    /// use green::pool::{GreenPile, GreenPool};
    ///
    /// let mut pile = GreenPile::new(GreenPool::new(4));
    /// pile.spawn(|| 7);
    /// assert_eq!(pile.next().unwrap().unwrap(), 7);
    /// ```
    #[must_use]
    pub fn new(pool: GreenPool) -> GreenPile<T> {
        GreenPile {
            pool,
            started: VecDeque::new(),
        }
    }

    /// Starts a task, and parks until there is a place for it in the pool.
    ///
    /// ```
    /// use green::{pool::GreenPool, thread};
    ///
    /// let mut pile = GreenPool::new(1).pile();
    /// pile.spawn(|| panic!("is in its place"));
    /// // Waits until the first has ended.
    /// pile.spawn(|| 7);
    /// assert!(pile.next().unwrap().is_err());
    /// assert_eq!(pile.next().unwrap().unwrap(), 7);
    /// ```
    ///
    /// # Panics
    ///
    /// As [`GreenPool::spawn`].
    pub fn spawn<F: FnOnce() -> T + Send + 'static>(&mut self, f: F) {
        self.start(self.pool.slots.place(), f);
    }

    /// As [`spawn`](GreenPile::spawn), but waits for a place no longer than `limit`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::pool::GreenPool;
    ///
    /// let pool = GreenPool::new(1);
    /// let holder = pool.spawn(green::thread::park);
    /// let mut pile = pool.pile();
    /// assert!(pile.spawn_timeout(Duration::from_millis(1), || 7).is_err());
    /// holder.thread().unpark();
    /// assert!(pile.spawn_timeout(Duration::from_secs(60), || 8).is_ok());
    /// assert_eq!(pile.next().unwrap().unwrap(), 8);
    /// ```
    ///
    /// # Errors
    ///
    /// Gives the function back if the limit passed.
    ///
    /// # Panics
    ///
    /// As [`GreenPool::spawn`].
    pub fn spawn_timeout<F>(&mut self, limit: Duration, f: F) -> Result<(), F>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        let deadline = Deadline::after(limit);
        match self.pool.slots.place_until(deadline) {
            Some(place) => {
                self.start(place, f);
                Ok(())
            }
            None => Err(f),
        }
    }

    fn start<F: FnOnce() -> T + Send + 'static>(&mut self, place: Place, f: F) {
        self.started.push_back(self.pool.start_in(place.slot, f));
        if let Some(handle) = self.started.back().filter(|_| place.is_lent) {
            handle.wait();
        }
    }

    /// Parks until the next result is there, for no longer than `limit`; false if it passed. True if
    /// there is none to come, since `next` then need not wait.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::{pool::GreenPool, thread};
    ///
    /// let mut pile = GreenPool::new(1).pile();
    /// pile.spawn(|| thread::sleep(Duration::from_millis(50)));
    /// while !pile.wait_timeout(Duration::from_millis(1)) {
    ///     // Something else.
    /// }
    /// assert!(pile.next().unwrap().is_ok());
    /// ```
    #[must_use]
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        let first = self.started.front();
        first.is_none_or(|first| first.wait_timeout(limit))
    }

    /// The pool that the tasks run in.
    ///
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let pile = GreenPool::new(7).pile::<u32>();
    /// assert_eq!(pile.pool().size(), 7);
    /// ```
    #[must_use]
    pub fn pool(&self) -> &GreenPool {
        &self.pool
    }

    /// How many results are to come.
    ///
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let mut pile = GreenPool::new(2).pile();
    /// assert!(pile.is_empty());
    /// pile.spawn(|| ());
    /// pile.spawn(|| ());
    /// assert_eq!(pile.len(), 2);
    /// pile.next();
    /// assert_eq!(pile.len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.started.len()
    }

    /// Whether no result is to come.
    ///
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let mut pile = GreenPool::new(2).pile();
    /// assert!(pile.is_empty());
    /// pile.spawn(|| 7);
    /// assert!(!pile.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.started.is_empty()
    }
}

impl<T> Iterator for GreenPile<T> {
    type Item = thread::Result<T>;

    /// Parks until the first of those that were spawned has ended.
    fn next(&mut self) -> Option<thread::Result<T>> {
        first(&mut self.started)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.started.len(), Some(self.started.len()))
    }
}

impl<T> fmt::Debug for GreenPile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GreenPile")
            .field("pool", &self.pool)
            .field("len", &self.started.len())
            .finish_non_exhaustive()
    }
}
