//! [`Item`]: what a pool lends, and how it comes back.

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

use greenhub::semaphore::Permit;

use super::{Made, Pool};

/// An item of a [`Pool`], in use. Dropping it puts it back, unless that happens while the thread
/// unwinds: then it is [discarded](Item::discard), or [cleaned up](Pool::cleanup) first.
///
/// ```
/// use std::convert::Infallible;
///
/// use green::pools::Pool;
///
/// let pool = Pool::new(1, || Ok::<_, Infallible>(Vec::new()));
/// pool.get().unwrap().push("put back with it");
/// assert_eq!(*pool.get().unwrap(), ["put back with it"]);
/// ```
pub struct Item<'a, T, E = io::Error> {
    pub(super) pool: &'a Pool<T, E>,
    /// None while it is being made, and once it is out of the pool for good.
    pub(super) made: Option<Made<T>>,
    /// Goes back last, whatever happens.
    pub(super) _permit: Permit<'a>,
}

impl<T, E> Item<'_, T, E> {
    /// Drops the item instead of putting it back, because it does not work any more. Its place is
    /// free for a new one, which a thread that waits for an item may make.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    ///
    /// use green::pools::Pool;
    ///
    /// let made = AtomicU32::new(0);
    /// let pool = Pool::new(1, move || Ok::<_, Infallible>(made.fetch_add(1, Relaxed)));
    /// pool.get().unwrap().discard();
    /// assert_eq!(pool.size(), 0);
    /// assert_eq!(*pool.get().unwrap(), 1);
    /// ```
    pub fn discard(self) {
        drop(self.detach());
    }

    /// Takes the item out of the pool for good. Its place is free for a new one.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use green::pools::Pool;
    ///
    /// let pool = Pool::new(1, || Ok::<_, Infallible>("item".to_owned()));
    /// let item: String = pool.get().unwrap().detach();
    /// assert_eq!((item.as_str(), pool.size()), ("item", 0));
    /// ```
    pub fn detach(mut self) -> T {
        let made = self.take().expect("an item that was got is there");
        made.value
    }

    /// Takes it out, and counts it no more.
    pub(super) fn take(&mut self) -> Option<Made<T>> {
        let made = self.made.take()?;
        self.pool.state.lock().size -= 1;
        Some(made)
    }
}

impl<T, E> Drop for Item<'_, T, E> {
    fn drop(&mut self) {
        let Some(mut made) = self.made.take() else {
            return;
        };
        match self.pool.is_reusable(&mut made) {
            true => self.pool.keep(made),
            false => {
                self.pool.state.lock().size -= 1;
                drop(made);
            }
        }
    }
}

impl<T, E> Pool<T, E> {
    /// Keeps an item for whoever comes next, unless there are too many since the pool was resized.
    pub(super) fn keep(&self, mut made: Made<T>) {
        let mut state = self.state.lock();
        if state.size <= state.max_size {
            made.since = Instant::now();
            state.idle.push_back(made);
        } else {
            state.size -= 1;
            drop(state);
            drop(made);
        }
    }
}

impl<T, E> Deref for Item<'_, T, E> {
    type Target = T;

    fn deref(&self) -> &T {
        let made = self.made.as_ref();
        &made.expect("an item that was got is there").value
    }
}

impl<T, E> DerefMut for Item<'_, T, E> {
    fn deref_mut(&mut self) -> &mut T {
        let made = self.made.as_mut();
        &mut made.expect("an item that was got is there").value
    }
}

impl<T: fmt::Debug, E> fmt::Debug for Item<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Item").field(&**self).finish()
    }
}
