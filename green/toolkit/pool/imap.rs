//! A function over many items, several calls at a time, results in the order of the items.

use std::{collections::VecDeque, fmt, iter::Fuse, sync::Arc};

use super::GreenPool;
use crate::thread::{self, JoinHandle};

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
