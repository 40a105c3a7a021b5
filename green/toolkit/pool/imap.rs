//! A function over many items, several calls at a time, results in the order of the items.

use std::{collections::VecDeque, fmt, iter::Fuse, sync::Arc};

use super::{GreenPool, spread::Spread};
use crate::thread::{self, JoinHandle};

/// # Many items
impl GreenPool {
    /// Calls `f` with each item, each call in a task of this pool, and gives the results in the order
    /// of the items.
    ///
    /// The tasks are started as the results are asked for, as many ahead as the pool has places for,
    /// so any number of items takes the same memory. A call that panics gives its panic instead of its
    /// result, and the rest goes on. Dropping the iterator lets the calls under way run to their end.
    ///
    /// For a function of several arguments see [`starmap`](GreenPool::starmap).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let squares = GreenPool::new(4).imap(|n| n * n, 1..=5).map(Result::unwrap);
    /// assert_eq!(squares.collect::<Vec<_>>(), [1, 4, 9, 16, 25]);
    /// ```
    pub fn imap<F, I, T>(&self, f: F, items: I) -> Imap<F, I::IntoIter, T>
    where
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Send + 'static,
        T: Send + 'static,
    {
        Imap::new(self.clone(), f, items.into_iter())
    }

    /// As [`imap`](GreenPool::imap), for a function of several arguments: each item is a tuple of
    /// them.
    ///
    /// A closure must name the types of its arguments; with `imap(|(a, b)| …)` it need not.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::pool::GreenPool;
    ///
    /// let pool = GreenPool::new(4);
    /// let powers = pool.starmap(u32::pow, [(2, 5), (3, 2)]).map(Result::unwrap);
    /// assert_eq!(powers.collect::<Vec<_>>(), [32, 9]);
    ///
    /// let words = [("ab", 2), ("c", 3)];
    /// let repeated = pool.starmap(|word: &str, times: usize| word.repeat(times), words);
    /// assert_eq!(repeated.map(Result::unwrap).collect::<String>(), "ababccc");
    /// ```
    pub fn starmap<F, I, T>(
        &self,
        f: F,
        items: I,
    ) -> Imap<impl Fn(I::Item) -> T + Send + Sync + 'static + use<F, I, T>, I::IntoIter, T>
    where
        F: Spread<I::Item, Output = T> + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Send + 'static,
        T: Send + 'static,
    {
        self.imap(move |arguments| f.spread(arguments), items)
    }
}

/// The results of [`GreenPool::imap`] and [`GreenPool::starmap`], in order.
///
/// A `next` that is cut short by a [`timeout`](crate::timeout()) has lost nothing: the next one gives
/// the result that was waited for.
///
/// ```
/// use green::pool::GreenPool;
///
/// let mut quotients = GreenPool::new(2).imap(|n: u32| 12 / n, [4, 0, 6]);
/// assert_eq!(quotients.next().unwrap().unwrap(), 3);
/// assert!(quotients.next().unwrap().is_err(), "divided by zero");
/// assert_eq!(quotients.next().unwrap().unwrap(), 2);
/// assert!(quotients.next().is_none());
/// ```
#[must_use = "nothing is called until the results are asked for"]
pub struct Imap<F, I: Iterator, T> {
    pool: GreenPool,
    f: Arc<F>,
    items: Fuse<I>,
    /// Taken from `items`, and not started yet.
    next: Option<I::Item>,
    started: VecDeque<JoinHandle<T>>,
}

impl<F, I, T> Imap<F, I, T>
where
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    I: Iterator,
    I::Item: Send + 'static,
    T: Send + 'static,
{
    pub(super) fn new(pool: GreenPool, f: F, items: I) -> Imap<F, I, T> {
        Imap {
            pool,
            f: Arc::new(f),
            items: items.fuse(),
            next: None,
            started: VecDeque::new(),
        }
    }

    /// Starts as many as there is room for, and one at least.
    fn start_some(&mut self) {
        while self.started.is_empty() || self.started.len() < self.pool.size() {
            if self.next.is_none() {
                self.next = self.items.next();
            }
            if self.next.is_none() {
                return;
            }
            let slots = &self.pool.slots;
            let place = match slots.try_place() {
                None if self.started.is_empty() => slots.place(),
                None => return,
                Some(place) => place,
            };
            if let Some(item) = self.next.take() {
                let f = self.f.clone();
                // A place that was lent is no concern here: `next` waits for its task anyway.
                let handle = self.pool.start_in(place.slot, move || f(item));
                self.started.push_back(handle);
            }
        }
    }
}

impl<F, I, T> Iterator for Imap<F, I, T>
where
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    I: Iterator,
    I::Item: Send + 'static,
    T: Send + 'static,
{
    type Item = thread::Result<T>;

    fn next(&mut self) -> Option<thread::Result<T>> {
        self.start_some();
        first(&mut self.started)
    }
}

/// The result of the first of them, once it has ended. It stays in the list until then.
pub(super) fn first<T>(started: &mut VecDeque<JoinHandle<T>>) -> Option<thread::Result<T>> {
    started.front()?.wait();
    started.pop_front().map(JoinHandle::join)
}

impl<F, I: Iterator, T> fmt::Debug for Imap<F, I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imap")
            .field("pool", &self.pool)
            .field("started", &self.started.len())
            .finish_non_exhaustive()
    }
}
