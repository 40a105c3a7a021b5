//! Why a put or a get gave up.

use std::{error::Error, fmt};

/// An item was not put: there was no room for it, within the limit if one was given, or the queue was
/// shut down. This holds the item.
///
/// ```
/// use green::queue::{Full, Queue};
///
/// let queue = Queue::bounded(0);
/// let full: Full<_> = queue.try_put("item").unwrap_err();
/// assert_eq!(full.to_string(), "the queue is full");
/// assert_eq!(full.into_inner(), "item");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<T> Full<T> {
    /// The item that was not put.
    ///
    /// ```
    /// use green::queue::Queue;
    ///
    /// let queue = Queue::bounded(0);
    /// assert_eq!(queue.try_put("item").unwrap_err().into_inner(), "item");
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is full")
    }
}

impl<T> Error for Full<T> {}

/// There was no item to get, within the limit if one was given, or none will come, because the queue was
/// shut down.
///
/// ```
/// use green::queue::{Empty, Queue};
///
/// assert_eq!(Queue::<u32>::new().try_get(), Err(Empty));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty;

impl fmt::Display for Empty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is empty")
    }
}

impl Error for Empty {}

/// `task_done` was called more often than items were put.
///
/// ```
/// use green::queue::{NothingOutstanding, Queue};
///
/// assert_eq!(Queue::<u32>::new().task_done(), Err(NothingOutstanding));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingOutstanding;

impl fmt::Display for NothingOutstanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a task was called done though none was outstanding")
    }
}

impl Error for NothingOutstanding {}
