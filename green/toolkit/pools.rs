//! [`Pool`]: things that are costly to make, such as connections, used again and again.
//!
//! # Differences from eventlet
//!
//! `get` returns a guard, which puts its item back when dropped. If it is dropped while a panic, a kill or
//! a time limit unwinds, nobody knows in what state the item was left: so it is discarded instead, or
//! [cleaned up](Pool::cleanup) first. An item that does not work any more is [discarded](Item::discard),
//! and its place taken by a new one. A `TokenPool` is a [`Semaphore`].
//!
//! # A pool of database connections
//!
//! eventlet's `db_pool` is a pool with settings for the age of connections, and for what to do with a
//! broken one:
//!
//! ```
//! use std::time::Duration;
//!
//! use green::pools::Pool;
//!
//! # struct Connection;
//! # impl Connection {
//! #     fn open() -> std::io::Result<Connection> { Ok(Connection) }
//! #     fn ping(&mut self) -> std::io::Result<()> { Ok(()) }
//! #     fn rollback(&mut self) -> std::io::Result<()> { Ok(()) }
//! # }
//! # fn main() -> std::io::Result<()> {
//! let limit = Duration::from_secs(5);
//! let connections = Pool::new(20, move || green::timeout(limit, Connection::open)?)
//!     .max_age(Duration::from_secs(3600))
//!     .max_idle(Duration::from_secs(60))
//!     .check(|connection: &mut Connection| connection.ping().is_ok())
//!     .cleanup(limit, |connection| connection.rollback().is_ok());
//! connections.get()?.ping()?;
//! # Ok(())
//! # }
//! ```

use std::{
    collections::VecDeque,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use greenhub::semaphore::{MAX_PERMITS, Semaphore};
use greenhub::timeout;
use greenhub::wait_queue::ShortLock;

use crate::metrics::{Figure, Metrics};
use crate::thread::panicking;

mod item;
mod lend;

pub use item::Item;

/// Items that are made when needed, no more than so many, and used again.
///
/// If all are in use, whoever asks for one waits until one is put back, and is served in order of arrival.
/// A thread that is killed or runs out of time while it waits takes nothing. Putting back never waits.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// use green::{net::{TcpListener, TcpStream}, pools::Pool};
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// # let server = green::thread::spawn(move || -> std::io::Result<()> {
/// #     let mut stream = listener.accept()?.0;
/// #     let mut byte = [0];
/// #     while stream.read(&mut byte)? > 0 {
/// #         stream.write_all(&byte)?;
/// #     }
/// #     Ok(())
/// # });
/// let connections = Pool::new(2, move || TcpStream::connect(address));
/// for _ in 0..10 {
///     let mut connection = connections.get()?;
///     connection.write_all(b"?")?;
///     connection.read_exact(&mut [0])?;
/// }
/// // One after the other, they all used the same.
/// assert_eq!(connections.size(), 1);
/// # drop(connections);
/// # server.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
pub struct Pool<T, E = io::Error> {
    create: Box<dyn Fn() -> Result<T, E> + Send + Sync>,
    max_age: Option<Duration>,
    max_idle: Option<Duration>,
    /// Whether an item that was idle still works.
    check: Option<Judge<T>>,
    /// Whether one whose user unwound can be used again, and how long it may take to say.
    cleanup: Option<(Duration, Judge<T>)>,
    /// A permit is the right to have an item out.
    permits: Semaphore,
    state: ShortLock<State<T>>,
    as_stack: bool,
}

type Judge<T> = Box<dyn Fn(&mut T) -> bool + Send + Sync>;

/// An item that was made.
struct Made<T> {
    value: T,
    at: Instant,
    /// When it was put back, or made.
    since: Instant,
}

struct State<T> {
    idle: VecDeque<Made<T>>,
    /// Idle, out, and being made.
    size: usize,
    max_size: usize,
    /// Items that were made, ever.
    made: u64,
}

impl<T, E> Pool<T, E> {
    /// A pool that makes its items with `create`, and never has more than `max_size`. It is empty at
    /// first; see [`fill`](Pool::fill).
    ///
    /// `create` may wait, as connecting does. If it fails or is cut short, its place stays free.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use green::pools::Pool;
    ///
    /// let buffers = Pool::new(8, || Ok::<_, Infallible>(vec![0; 4096]));
    /// assert_eq!((buffers.size(), buffers.free()), (0, 8));
    /// assert_eq!(buffers.get().unwrap().len(), 4096);
    /// assert_eq!((buffers.size(), buffers.free()), (1, 8));
    /// ```
    ///
    /// # Panics
    ///
    /// If `max_size` is more than [`MAX_PERMITS`](crate::semaphore::MAX_PERMITS).
    pub fn new(
        max_size: usize,
        create: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Pool<T, E> {
        Pool {
            create: Box::new(create),
            max_age: None,
            max_idle: None,
            check: None,
            cleanup: None,
            permits: Semaphore::named("pool", max_size),
            state: ShortLock::new(State {
                idle: VecDeque::new(),
                size: 0,
                max_size,
                made: 0,
            }),
            as_stack: false,
        }
    }

    /// Gives out first the item that was put back last, so that items that are not needed stay idle.
    /// Without this, all items take turns.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use green::pools::Pool;
    ///
    /// let pool = Pool::new(2, || Ok::<_, Infallible>(String::new())).as_stack();
    /// pool.put("put back first".to_owned()).unwrap();
    /// pool.put("put back last".to_owned()).unwrap();
    /// assert_eq!(*pool.get().unwrap(), "put back last");
    /// ```
    #[must_use]
    #[doc(alias = "order_as_stack")]
    pub fn as_stack(mut self) -> Pool<T, E> {
        self.as_stack = true;
        self
    }

    /// Drops an item, instead of giving it out or putting it back, once it is older than this.
    ///
    /// ```
    /// use std::{convert::Infallible, time::Duration};
    ///
    /// use green::{pools::Pool, thread::sleep};
    ///
    /// let pool = Pool::new(1, || Ok::<_, Infallible>(())).max_age(Duration::from_millis(5));
    /// drop(pool.get().unwrap());
    /// assert_eq!(pool.size(), 1);
    /// let item = pool.get().unwrap();
    /// sleep(Duration::from_millis(10));
    /// drop(item);
    /// assert_eq!(pool.size(), 0);
    /// ```
    #[must_use]
    pub fn max_age(mut self, limit: Duration) -> Pool<T, E> {
        self.max_age = Some(limit);
        self
    }

    /// Drops an item, instead of giving it out, if nobody has used it for this long: a server may have
    /// closed its end meanwhile.
    ///
    /// No thread watches idle items: one is dropped when somebody would have got it.
    ///
    /// ```
    /// use std::{sync::atomic::{AtomicU32, Ordering::Relaxed}, time::Duration};
    ///
    /// use green::{pools::Pool, thread::sleep};
    ///
    /// let made = AtomicU32::new(0);
    /// let make = move || std::io::Result::Ok(made.fetch_add(1, Relaxed));
    /// let pool = Pool::new(1, make).max_idle(Duration::from_millis(20));
    /// assert_eq!(*pool.get()?, 0);
    /// sleep(Duration::from_millis(40));
    /// assert_eq!(*pool.get()?, 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn max_idle(mut self, limit: Duration) -> Pool<T, E> {
        self.max_idle = Some(limit);
        self
    }

    /// Calls `check` with an item that was idle, before it is given out; if it returns false, the item is
    /// dropped, and the next one, or a new one, is given out instead.
    ///
    /// It runs in the thread that gets the item, and may wait. A panic, a kill or a limit in it drops
    /// the item.
    ///
    /// ```
    /// use std::{convert::Infallible, sync::atomic::{AtomicU32, Ordering::Relaxed}};
    ///
    /// use green::pools::Pool;
    ///
    /// let made = AtomicU32::new(0);
    /// let make = move || Ok::<_, Infallible>(made.fetch_add(1, Relaxed));
    /// let pool = Pool::new(1, make).check(|number| *number > 0);
    /// assert_eq!(*pool.get().unwrap(), 0); // A new one is not checked.
    /// assert_eq!(*pool.get().unwrap(), 1);
    /// assert_eq!(*pool.get().unwrap(), 1);
    /// ```
    #[must_use]
    #[doc(alias = "pre_ping")]
    pub fn check(mut self, check: impl Fn(&mut T) -> bool + Send + Sync + 'static) -> Pool<T, E> {
        self.check = Some(Box::new(check));
        self
    }

    /// Calls `cleanup` with an item whose user unwinds, by a panic, a kill or a time limit, instead of
    /// discarding it: to roll back a transaction, say. If it returns true within `limit`, the item is put
    /// back.
    ///
    /// It runs in the thread that unwinds, before that goes on, and may wait; kills do not cut it short, so
    /// choose `limit` accordingly. A panic in it counts as false.
    ///
    /// ```
    /// use std::{convert::Infallible, time::Duration};
    ///
    /// use green::{pools::Pool, thread, timeout};
    ///
    /// let pool = Pool::new(1, || Ok::<_, Infallible>(vec!["clean"]))
    ///     .cleanup(Duration::from_secs(1), |item| {
    ///         item.truncate(1);
    ///         true
    ///     });
    /// let cut = timeout(Duration::from_millis(1), || {
    ///     let mut item = pool.get().unwrap();
    ///     item.push("half done");
    ///     thread::park();
    /// });
    /// assert!(cut.is_err());
    /// assert_eq!((pool.size(), &**pool.get().unwrap()), (1, &["clean"][..]));
    /// ```
    #[must_use]
    #[doc(alias = "rollback")]
    pub fn cleanup(
        mut self,
        limit: Duration,
        cleanup: impl Fn(&mut T) -> bool + Send + Sync + 'static,
    ) -> Pool<T, E> {
        self.cleanup = Some((limit, Box::new(cleanup)));
        self
    }

    fn is_old(&self, made: &Made<T>) -> bool {
        self.max_age.is_some_and(|limit| made.at.elapsed() >= limit)
    }

    /// Whether an item may be put back by its user, who may be unwinding.
    fn is_reusable(&self, made: &mut Made<T>) -> bool {
        if self.is_old(made) {
            return false;
        }
        if !panicking() {
            return true;
        }
        let Some((limit, cleanup)) = &self.cleanup else {
            return false;
        };
        let cleaned = catch_unwind(AssertUnwindSafe(|| {
            timeout(*limit, || cleanup(&mut made.value))
        }));
        matches!(cleaned.map_err(greenhub::discard_panic), Ok(Ok(true)))
    }

    /// Counts an item that is about to be made, if there may be one more.
    fn making(&self, min_size: usize) -> Option<Making<'_, T, E>> {
        let mut state = self.state.lock();
        state.is_short_of(min_size).then(|| {
            state.size += 1;
            Making(self)
        })
    }

    /// Puts in an item that was made elsewhere, or [detached](Item::detach).
    ///
    /// ```
    /// use green::pools::Pool;
    ///
    /// let pool = Pool::new(1, || Err("cannot be made here"));
    /// assert!(pool.get().is_err());
    /// assert_eq!(pool.put(7), Ok(()));
    /// assert_eq!(pool.put(8), Err(8));
    /// assert_eq!(*pool.get().unwrap(), 7);
    /// ```
    ///
    /// # Errors
    ///
    /// Gives it back if the pool has `max_size` items already.
    pub fn put(&self, item: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.size >= state.max_size {
            return Err(item);
        }
        state.size += 1;
        state.idle.push_back(Made::new(item));
        Ok(())
    }

    /// Changes how many items there may be. If there are to be fewer, idle ones are dropped, and
    /// others when they are put back.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use green::pools::Pool;
    ///
    /// let pool = Pool::new(4, || Ok::<_, Infallible>(()));
    /// pool.fill(4).unwrap();
    /// pool.resize(1);
    /// assert_eq!((pool.max_size(), pool.size(), pool.free()), (1, 1, 1));
    /// ```
    ///
    /// # Panics
    ///
    /// As [`new`](Pool::new).
    pub fn resize(&self, max_size: usize) {
        assert!(max_size <= MAX_PERMITS, "too many places for a pool");
        let mut state = self.state.lock();
        let old = std::mem::replace(&mut state.max_size, max_size);
        match max_size.checked_sub(old) {
            Some(more) => self.permits.add_permits(more),
            None => self.permits.remove_permits(old - max_size),
        }
        let excess = state.size.saturating_sub(max_size).min(state.idle.len());
        state.size -= excess;
        let dropped: Vec<Made<T>> = state.idle.drain(..excess).collect();
        drop(state);
        // Without the lock: their drop is user code.
        drop(dropped);
    }

    /// How many items may be got now without waiting, made or still to be made.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use green::pools::Pool;
    ///
    /// let pool = Pool::new(2, || Ok::<_, Infallible>(()));
    /// let item = pool.get().unwrap();
    /// assert_eq!(pool.free(), 1);
    /// drop(item);
    /// assert_eq!(pool.free(), 2);
    /// ```
    #[must_use]
    pub fn free(&self) -> usize {
        self.permits.available()
    }

    /// How many threads wait for an item.
    ///
    /// ```
    /// use std::{convert::Infallible, sync::Arc, time::Duration};
    ///
    /// use green::{pools::Pool, thread};
    ///
    /// let pool = Arc::new(Pool::new(1, || Ok::<_, Infallible>(7)));
    /// let taken = pool.get().unwrap();
    /// let theirs = pool.clone();
    /// let waiter = thread::spawn(move || *theirs.get().unwrap());
    /// while pool.waiting() == 0 {
    ///     thread::sleep(Duration::from_millis(1));
    /// }
    /// drop(taken);
    /// assert_eq!(waiter.join().unwrap(), 7);
    /// ```
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.permits.waiting()
    }

    /// How many items there are: idle, in use, and being made.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use green::pools::Pool;
    ///
    /// let pool = Pool::new(5, || Ok::<_, Infallible>(()));
    /// assert_eq!(pool.size(), 0);
    /// let _two = (pool.get().unwrap(), pool.get().unwrap());
    /// assert_eq!(pool.size(), 2);
    /// ```
    #[must_use]
    pub fn size(&self) -> usize {
        self.state.lock().size
    }

    /// How many items there may be.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use green::pools::Pool;
    ///
    /// let pool = Pool::new(5, || Ok::<_, Infallible>(()));
    /// assert_eq!(pool.max_size(), 5);
    /// ```
    #[must_use]
    pub fn max_size(&self) -> usize {
        self.state.lock().max_size
    }
}

impl<T> State<T> {
    /// Whether there are fewer than `min_size`, and may be more.
    fn is_short_of(&self, min_size: usize) -> bool {
        self.size < self.max_size.min(min_size)
    }
}

/// An item that is being made: not counted any more if that fails.
struct Making<'a, T, E>(&'a Pool<T, E>);

impl<T, E> Making<'_, T, E> {
    fn done(self) {
        self.0.state.lock().made += 1;
        std::mem::forget(self);
    }
}

impl<T, E> Drop for Making<'_, T, E> {
    fn drop(&mut self) {
        self.0.state.lock().size -= 1;
    }
}

impl<T> Made<T> {
    fn new(value: T) -> Made<T> {
        let now = Instant::now();
        Made {
            value,
            at: now,
            since: now,
        }
    }
}

/// How many items there are and may be, how many are in use, how many threads wait for one, and how many were made.
///
/// ```
/// use std::convert::Infallible;
///
/// use green::metrics::{Metrics, prometheus};
/// use green::pools::Pool;
///
/// let pool = Pool::new(5, || Ok::<_, Infallible>(()));
/// let item = pool.get().unwrap();
/// let text = prometheus([("orders", &pool as &dyn Metrics)]);
/// assert!(text.contains("\ngreen_resources_in_use{name=\"orders\"} 1\n"), "{text}");
/// ```
impl<T, E> Metrics for Pool<T, E> {
    fn tell(&self, to: &mut dyn FnMut(Figure<'_>)) {
        let (size, most, idle, made) = {
            let state = self.state.lock();
            (state.size, state.max_size, state.idle.len(), state.made)
        };
        let gauge = |name, help, value: usize| Figure::gauge(name, help, value as f64);
        let all = "Items of the pool: idle, in use and being made.";
        to(gauge("green_resources", all, size));
        let limit = "Items that the pool may have.";
        to(gauge("green_resources_max", limit, most));
        let used = "Items of the pool that are in use or being made.";
        to(gauge("green_resources_in_use", used, size - idle));
        let waiting = "Threads that wait for an item of the pool.";
        to(gauge("green_resources_waiting", waiting, self.waiting()));
        let help = "Items that the pool has made.";
        to(Figure::counter("green_resources_made_total", help, made));
    }
}

impl<T, E> fmt::Debug for Pool<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("size", &self.size())
            .field("max_size", &self.max_size())
            .field("free", &self.free())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
