//! What every queue can do, and what those that count tasks can do besides.

macro_rules! queue {
    ($(#[$attribute:meta])* $name:ident [$($bound:path)?] $order:ident, $tasks:ident, $counted:ty, $what:literal) => {
        $(#[$attribute])*
        pub struct $name<T $(: $bound)?> {
            core: Core<$order<T>>,
            tasks: $tasks,
        }

        impl<T $(: $bound)?> $name<T> {
            /// An empty queue that takes any number of items.
            ///
            /// ```
            #[doc = concat!("use green::queue::", stringify!($name), ";")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::new();")]
            /// (0..1000).for_each(|n| queue.put(n));
            /// assert_eq!((queue.len(), queue.capacity()), (1000, None));
            /// ```
            #[must_use]
            pub fn new() -> $name<T> {
                $name::with_capacity(None)
            }

            /// An empty queue that holds at most `capacity` items; with zero, a put waits until a
            /// get has taken its item.
            ///
            /// ```
            #[doc = concat!("use green::queue::", stringify!($name), ";")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::bounded(1);")]
            /// queue.put(7);
            /// assert!(queue.is_full() && queue.try_put(8).is_err());
            /// ```
            #[must_use]
            pub fn bounded(capacity: usize) -> $name<T> {
                $name::with_capacity(Some(capacity))
            }

            fn with_capacity(capacity: Option<usize>) -> $name<T> {
                $name {
                    core: Core::new($what, $order::default(), capacity),
                    tasks: $tasks::default(),
                }
            }

            /// Puts an item, and parks until there is room for it.
            ///
            /// A thread that is killed, or whose time limit passes, while it waits here has not put
            /// the item, which is dropped.
            ///
            /// ```
            /// use std::sync::Arc;
            ///
            #[doc = concat!("use green::{queue::", stringify!($name), ", thread};")]
            ///
            #[doc = concat!("let queue = Arc::new(", stringify!($name), "::bounded(1));")]
            /// let theirs = queue.clone();
            /// let putter = thread::spawn(move || (0..10).for_each(|n| theirs.put(n)));
            /// let sum: u32 = (0..10).map(|_| queue.get()).sum();
            /// assert_eq!(sum, 45);
            /// putter.join().unwrap();
            /// ```
            ///
            /// # Panics
            ///
            /// If the queue is or was [shut down](Self::shutdown), as Python raises `ShutDown`. The calls with
            /// a limit and those that do not wait give the item back instead.
            pub fn put(&self, item: T) {
                if self.put_until(item, Deadline::NEVER).is_err() {
                    panic!("an item was put into a queue that was shut down");
                }
            }

            /// As [`put`](Self::put), for no longer than `limit`.
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("use green::queue::", stringify!($name), ";")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::bounded(1);")]
            /// let limit = Duration::from_millis(1);
            /// assert!(queue.put_timeout(7, limit).is_ok());
            /// assert_eq!(queue.put_timeout(8, limit).unwrap_err().into_inner(), 8);
            /// ```
            ///
            /// # Errors
            ///
            /// [`Full`], with the item, if the limit passed or the queue was shut down; nothing of it stays behind.
            pub fn put_timeout(&self, item: T, limit: Duration) -> Result<(), Full<T>> {
                self.put_until(item, Deadline::after(limit))
            }

            fn put_until(&self, item: T, deadline: Deadline) -> Result<(), Full<T>> {
                let counted: $counted = self.tasks.announce();
                self.core.put(item, deadline).map_err(Full)?;
                counted.put();
                Ok(())
            }

            /// Puts an item without waiting. With capacity zero, that works only if a thread waits to get one.
            ///
            /// ```
            #[doc = concat!("use green::queue::", stringify!($name), ";")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::bounded(1);")]
            /// assert!(queue.try_put(7).is_ok());
            /// assert_eq!(queue.try_put(8).unwrap_err().into_inner(), 8);
            /// ```
            ///
            /// # Errors
            ///
            /// [`Full`], with the item, if there is no room or the queue was shut down.
            #[doc(alias = "put_nowait")]
            pub fn try_put(&self, item: T) -> Result<(), Full<T>> {
                let counted: $counted = self.tasks.announce();
                self.core.try_put(item).map_err(Full)?;
                counted.put();
                Ok(())
            }

            /// Gets an item, and parks until there is one.
            ///
            /// ```
            /// use std::sync::Arc;
            ///
            #[doc = concat!("use green::{queue::", stringify!($name), ", thread};")]
            ///
            #[doc = concat!("let queue = Arc::new(", stringify!($name), "::new());")]
            /// let theirs = queue.clone();
            /// thread::spawn(move || theirs.put(7));
            /// assert_eq!(queue.get(), 7);
            /// ```
            ///
            /// # Panics
            ///
            /// If the queue is empty and is or was [shut down](Self::shutdown), as Python raises `ShutDown`. Who
            /// expects that iterates by [`iter`](Self::iter).
            pub fn get(&self) -> T {
                self.core
                    .get(Deadline::NEVER)
                    .expect("an item was to be got from an empty queue that was shut down")
            }

            /// Gets one item after the other, and parks until there is one, until the queue is shut down and
            /// empty. Several threads may iterate at once: each item is for one of them.
            ///
            /// ```
            /// use std::sync::Arc;
            ///
            #[doc = concat!("use green::{queue::", stringify!($name), ", thread};")]
            ///
            #[doc = concat!("let queue = Arc::new(", stringify!($name), "::bounded(2));")]
            /// let theirs = queue.clone();
            /// let worker = thread::spawn(move || theirs.iter().sum::<u32>());
            /// (1..=10).for_each(|n| queue.put(n));
            /// queue.shutdown();
            /// assert_eq!(worker.join().unwrap(), 55);
            /// ```
            pub fn iter(&self) -> impl Iterator<Item = T> {
                std::iter::from_fn(|| self.core.get(Deadline::NEVER))
            }

            /// Ends the queue: nothing can be put any more, but what is in it can still be got. Threads that wait
            /// to put are refused at once; threads that wait to get return as soon as it is empty. A second call
            /// changes nothing.
            ///
            /// ```
            #[doc = concat!("use green::queue::{Empty, Full, ", stringify!($name), "};")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::new();")]
            /// queue.put(7);
            /// queue.shutdown();
            /// assert_eq!(queue.try_put(8), Err(Full(8)));
            /// assert_eq!((queue.get(), queue.try_get()), (7, Err(Empty)));
            /// assert_eq!(queue.iter().next(), None);
            /// ```
            pub fn shutdown(&self) {
                self.core.shut_down();
            }

            /// As [`shutdown`](Self::shutdown), and takes out what is in it, in the queue's order. These items
            /// count as done, so nobody waits for them.
            ///
            /// ```
            #[doc = concat!("use green::queue::", stringify!($name), ";")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::new();")]
            /// queue.put(7);
            /// assert_eq!(queue.shutdown_now(), [7]);
            /// assert_eq!(queue.iter().next(), None);
            /// ```
            #[doc(alias = "immediate")]
            pub fn shutdown_now(&self) -> Vec<T> {
                let items = self.core.shut_down_now();
                self.tasks.give_up(items.len());
                items
            }

            /// Whether it was shut down.
            ///
            /// ```
            #[doc = concat!("let queue = green::queue::", stringify!($name), "::<u32>::new();")]
            /// assert!(!queue.is_shut_down());
            /// queue.shutdown();
            /// assert!(queue.is_shut_down());
            /// ```
            pub fn is_shut_down(&self) -> bool {
                self.core.is_shut_down()
            }

            /// As [`get`](Self::get), for no longer than `limit`.
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("use green::queue::{Empty, ", stringify!($name), "};")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::new();")]
            /// let limit = Duration::from_millis(1);
            /// assert_eq!(queue.get_timeout(limit), Err(Empty));
            /// queue.put(7);
            /// assert_eq!(queue.get_timeout(limit), Ok(7));
            /// ```
            ///
            /// # Errors
            ///
            /// [`Empty`] if the limit passed, or none comes because the queue was shut down.
            pub fn get_timeout(&self, limit: Duration) -> Result<T, Empty> {
                let deadline = Deadline::after(limit);
                self.core.get(deadline).ok_or(Empty)
            }

            /// Gets an item without waiting.
            ///
            /// ```
            #[doc = concat!("use green::queue::{Empty, ", stringify!($name), "};")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::new();")]
            /// assert_eq!(queue.try_get(), Err(Empty));
            /// queue.put(7);
            /// assert_eq!(queue.try_get(), Ok(7));
            /// ```
            ///
            /// # Errors
            ///
            /// [`Empty`] if there is none.
            #[doc(alias = "get_nowait")]
            pub fn try_get(&self) -> Result<T, Empty> {
                self.core.try_get().ok_or(Empty)
            }

            /// How many items it holds. Those of threads that wait to put are not in it yet.
            ///
            /// ```
            #[doc = concat!("use green::queue::", stringify!($name), ";")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::new();")]
            /// assert!(queue.is_empty());
            /// queue.put(7);
            /// assert_eq!(queue.len(), 1);
            /// ```
            #[doc(alias = "qsize")]
            pub fn len(&self) -> usize {
                self.core.len()
            }

            /// Whether it holds nothing.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Whether it holds as much as it may. One of capacity zero always does.
            ///
            /// ```
            #[doc = concat!("use green::queue::", stringify!($name), ";")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::bounded(1);")]
            /// assert!(!queue.is_full());
            /// queue.put(7);
            /// assert!(queue.is_full());
            /// ```
            pub fn is_full(&self) -> bool {
                self.capacity().is_some_and(|capacity| self.len() >= capacity)
            }

            /// How many items it may hold; `None` is any number.
            #[doc(alias = "maxsize")]
            pub fn capacity(&self) -> Option<usize> {
                self.core.capacity()
            }

            /// Changes how many items it may hold. New room goes to those who wait to put; if there is to be less,
            /// no item is removed.
            ///
            /// ```
            #[doc = concat!("use green::queue::", stringify!($name), ";")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::bounded(1);")]
            /// queue.put(1);
            /// queue.resize(Some(2));
            /// queue.put(2);
            /// queue.resize(Some(0));
            /// // What is in it stays.
            /// assert_eq!((queue.len(), queue.is_full()), (2, true));
            /// ```
            pub fn resize(&self, capacity: Option<usize>) {
                self.core.resize(capacity);
            }

            /// How many threads wait to get.
            ///
            /// ```
            /// use std::{sync::Arc, time::Duration};
            ///
            #[doc = concat!("use green::{queue::", stringify!($name), ", thread};")]
            ///
            #[doc = concat!("let queue = Arc::new(", stringify!($name), "::new());")]
            /// let theirs = queue.clone();
            /// let getter = thread::spawn(move || theirs.get());
            /// while queue.getting() == 0 {
            ///     thread::sleep(Duration::from_millis(1));
            /// }
            /// queue.put(7);
            /// assert_eq!((queue.getting(), getter.join().unwrap()), (0, 7));
            /// ```
            pub fn getting(&self) -> usize {
                self.core.getting()
            }

            /// How many threads wait to put.
            ///
            /// ```
            /// use std::{sync::Arc, time::Duration};
            ///
            #[doc = concat!("use green::{queue::", stringify!($name), ", thread};")]
            ///
            #[doc = concat!("let queue = Arc::new(", stringify!($name), "::bounded(0));")]
            /// let theirs = queue.clone();
            /// let putter = thread::spawn(move || theirs.put(7));
            /// while queue.putting() == 0 {
            ///     thread::sleep(Duration::from_millis(1));
            /// }
            /// assert_eq!((queue.len(), queue.get(), queue.putting()), (0, 7, 0));
            /// putter.join().unwrap();
            /// ```
            pub fn putting(&self) -> usize {
                self.core.putting()
            }
        }

        impl<T $(: $bound)?> Default for $name<T> {
            fn default() -> $name<T> {
                $name::new()
            }
        }

        /// A panic leaves a queue as it was.
        impl<T $(: $bound)?> UnwindSafe for $name<T> {}
        impl<T $(: $bound)?> RefUnwindSafe for $name<T> {}

        impl<T $(: $bound)?> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("len", &self.len())
                    .field("capacity", &self.capacity())
                    .field("getting", &self.getting())
                    .field("putting", &self.putting())
                    .finish_non_exhaustive()
            }
        }
    };
}

macro_rules! counts_tasks {
    ($name:ident [$($bound:path)?]) => {
        impl<T $(: $bound)?> $name<T> {
            /// Says that the work on an item that was got is done. When all items are done, [`join`](Self::join)
            /// returns.
            ///
            /// ```
            #[doc = concat!("use green::queue::{NothingOutstanding, ", stringify!($name), "};")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::new();")]
            /// queue.put(7);
            /// let _item = queue.get();
            /// assert_eq!(queue.task_done(), Ok(()));
            /// assert_eq!(queue.task_done(), Err(NothingOutstanding));
            /// ```
            ///
            /// # Errors
            ///
            /// [`NothingOutstanding`] if that many items were not put.
            pub fn task_done(&self) -> Result<(), NothingOutstanding> {
                self.tasks.done()
            }

            /// How many items were put, or are being put, and are not done yet.
            ///
            /// ```
            #[doc = concat!("use green::queue::", stringify!($name), ";")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::new();")]
            /// queue.put(7);
            /// let _item = queue.get();
            /// assert_eq!((queue.len(), queue.unfinished()), (0, 1));
            /// ```
            pub fn unfinished(&self) -> usize {
                self.tasks.outstanding()
            }

            /// Parks until [`task_done`](Self::task_done) was called for every item that was put; returns at once
            /// if none is outstanding.
            ///
            /// ```
            /// use std::sync::Arc;
            ///
            #[doc = concat!("use green::{queue::", stringify!($name), ", thread};")]
            ///
            #[doc = concat!("let queue = Arc::new(", stringify!($name), "::new());")]
            /// let theirs = queue.clone();
            /// thread::spawn(move || {
            ///     while theirs.get() > 0 {
            ///         theirs.task_done().unwrap();
            ///     }
            /// });
            /// (1..=10).for_each(|n| queue.put(n));
            /// queue.join();
            /// assert_eq!(queue.unfinished(), 0);
            /// ```
            pub fn join(&self) {
                self.tasks.join(Deadline::NEVER);
            }

            /// As [`join`](Self::join), for no longer than `limit`; false if it passed.
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("use green::queue::", stringify!($name), ";")]
            ///
            #[doc = concat!("let queue = ", stringify!($name), "::new();")]
            /// queue.put(7);
            /// assert!(!queue.join_timeout(Duration::from_millis(1)));
            /// let _item = queue.get();
            /// queue.task_done().unwrap();
            /// assert!(queue.join_timeout(Duration::from_millis(1)));
            /// ```
            #[must_use]
            pub fn join_timeout(&self, limit: Duration) -> bool {
                self.tasks.join(Deadline::after(limit))
            }
        }
    };
}

pub(super) use {counts_tasks, queue};
