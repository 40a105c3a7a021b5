//! How a pool lends its items.

use std::time::Duration;

use greenhub::semaphore::Permit;

use super::item::Item;
use super::{Made, Making, Pool};

/// # Getting an item
impl<T, E> Pool<T, E> {
    /// Gets an item: one that is idle, or a new one; parks until one is put back if all are out.
    ///
    /// ```
    /// use green::pools::Pool;
    ///
    /// let pool = Pool::new(1, || std::fs::File::open("/dev/zero"));
    /// let file = pool.get()?;
    /// assert!(file.metadata()?.len() == 0);
    /// drop(file); // Is open still, for the next to get it.
    /// assert_eq!(pool.size(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of `create`, if a new one was to be made.
    pub fn get(&self) -> Result<Item<'_, T, E>, E> {
        self.item(self.permits.permit())
    }

    /// As [`get`](Pool::get), but waits for one to be put back no longer than `limit`; `None` if it
    /// passed. Making a new one is not limited: for that, see [`timeout`](crate::timeout()).
    ///
    /// ```
    /// use std::{convert::Infallible, time::Duration};
    ///
    /// use green::pools::Pool;
    ///
    /// let pool = Pool::new(1, || Ok::<_, Infallible>(7));
    /// let taken = pool.get().unwrap();
    /// assert!(pool.get_timeout(Duration::from_millis(1)).unwrap().is_none());
    /// drop(taken);
    /// assert!(pool.get_timeout(Duration::from_millis(1)).unwrap().is_some());
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Pool::get).
    pub fn get_timeout(&self, limit: Duration) -> Result<Option<Item<'_, T, E>>, E> {
        match self.permits.permit_timeout(limit) {
            Some(permit) => self.item(permit).map(Some),
            None => Ok(None),
        }
    }

    /// As [`get`](Pool::get); `None` if all are out.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use green::pools::Pool;
    ///
    /// let pool = Pool::new(1, || Ok::<_, Infallible>(7));
    /// let taken = pool.try_get().unwrap();
    /// assert!(taken.is_some());
    /// assert!(pool.try_get().unwrap().is_none());
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Pool::get).
    pub fn try_get(&self) -> Result<Option<Item<'_, T, E>>, E> {
        match self.permits.try_permit() {
            Some(permit) => self.item(permit).map(Some),
            None => Ok(None),
        }
    }

    /// Makes items until there are `min_size`, or `max_size` if that is less.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use green::pools::Pool;
    ///
    /// let pool = Pool::new(10, || Ok::<_, Infallible>(()));
    /// pool.fill(3).unwrap();
    /// assert_eq!(pool.size(), 3);
    /// ```
    ///
    /// # Errors
    ///
    /// The first failure to make one; those made before it stay.
    #[doc(alias = "min_size")]
    pub fn fill(&self, min_size: usize) -> Result<(), E> {
        while self.state.lock().is_short_of(min_size)
            && let Some(_permit) = self.permits.try_permit()
        {
            // The permit is held as if to use it, so that nobody else makes one for the same place.
            let Some(making) = self.making(min_size) else {
                break;
            };
            let made = (self.create)()?;
            making.done();
            self.keep(Made::new(made));
        }
        Ok(())
    }

    /// For one who has a permit, which goes back with the item.
    fn item<'a>(&'a self, permit: Permit<'a>) -> Result<Item<'a, T, E>, E> {
        let mut item = Item {
            pool: self,
            made: None,
            _permit: permit,
        };
        loop {
            match self.idle_or_making() {
                Ok(idle) => {
                    item.made = Some(idle);
                    if self.is_good(&mut item) {
                        return Ok(item);
                    }
                    drop(item.take());
                }
                Err(making) => {
                    let made = (self.create)()?;
                    making.done();
                    item.made = Some(Made::new(made));
                    return Ok(item);
                }
            }
        }
    }

    /// Whether an item that was idle may be given out.
    fn is_good(&self, item: &mut Item<'_, T, E>) -> bool {
        let fresh = item.made.as_ref().is_some_and(|made| {
            !self.is_old(made)
                && self
                    .max_idle
                    .is_none_or(|limit| made.since.elapsed() < limit)
        });
        fresh && self.check.as_ref().is_none_or(|check| check(item))
    }

    fn idle_or_making(&self) -> Result<Made<T>, Making<'_, T, E>> {
        let mut state = self.state.lock();
        let idle = match self.as_stack {
            true => state.idle.pop_back(),
            false => state.idle.pop_front(),
        };
        idle.ok_or_else(|| {
            // A permit is as good as a place, though the pool may have shrunk since.
            state.size += 1;
            Making(self)
        })
    }
}
