//! Callbacks that run later: soon, after a delay, or at a given instant.
//!
//! Each hub where this is used has one green thread for them, the *caller*. It keeps them sorted by when they are due
//! and sleeps in between: the hub's timer queue holds only the caller, however many callbacks wait. A callback that is
//! to run soon is due at the moment it was asked for. So callbacks run one at a time, in the order in which they are
//! due; of those due at the same instant, the one asked for first runs first.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use greenhub::Deadline;
use greenhub::green_thread::{self, Builder, JoinHandle};
use greenhub::wait_queue::ShortLock;
use greenhub::wait_queue::WaitQueue;

type Callback = Box<dyn FnOnce() + Send>;

/// Longer than any program runs, for delays that are too long for the clock.
const FAR_AWAY: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

/// When a callback is due, and its number, which breaks ties.
type Due = (Instant, u64);

/// The callbacks of one hub.
#[derive(Default)]
pub(super) struct Calls {
    hub: usize,
    /// The simulation that they belong to.
    #[cfg(feature = "sim")]
    simulation: Option<u64>,
    waiting: ShortLock<Waiting>,
    /// Holds the caller.
    caller: WaitQueue,
    /// Callers that have been started and have not ended: there may be two for a moment, of which one goes at once.
    callers: AtomicUsize,
    /// Whether one of them is at work.
    is_at_work: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    callbacks: BTreeMap<Due, Callback>,
    number: u64,
}

/// By number.
#[cfg(feature = "sim")]
static OF_SIMULATIONS: ShortLock<BTreeMap<u64, Arc<Calls>>> = ShortLock::new(BTreeMap::new());

impl Calls {
    /// The callbacks of the running green thread's hub; on a plain OS thread those of the first hub. Does not wait.
    pub(super) fn here() -> Arc<Calls> {
        let hubs = greenhub::hub_count().expect("failed to spawn thread");
        let calls = Calls::of_hub(hubs);
        calls.have_caller().expect("failed to spawn thread");
        calls
    }

    fn of_hub(hubs: usize) -> Arc<Calls> {
        /// By hub.
        static ALL: OnceLock<Box<[Arc<Calls>]>> = OnceLock::new();
        #[cfg(feature = "sim")]
        if greenhub::sim::is_simulated() {
            return Calls::of_simulation();
        }
        let all = ALL.get_or_init(|| (0..hubs).map(|hub| Arc::new(Calls::new(hub))).collect());
        Arc::clone(&all[green_thread::current().hub().unwrap_or(0)])
    }

    /// Those of the simulation, whose caller ends with it.
    #[cfg(feature = "sim")]
    fn of_simulation() -> Arc<Calls> {
        let number = greenhub::sim::number().unwrap_or(0);
        let mut all = OF_SIMULATIONS.lock();
        Arc::clone(all.entry(number).or_insert_with(|| Arc::new(Calls::new(0))))
    }

    fn new(hub: usize) -> Calls {
        Calls {
            hub,
            #[cfg(feature = "sim")]
            simulation: greenhub::sim::number(),
            ..Calls::default()
        }
    }

    /// Sees to it that there is a caller, the green thread that runs the callbacks, as long as the process.
    fn have_caller(self: &Arc<Calls>) -> io::Result<()> {
        if self.callers.load(Ordering::SeqCst) == 0 {
            self.start_caller()?;
        }
        Ok(())
    }

    fn start_caller(self: &Arc<Calls>) -> io::Result<JoinHandle<()>> {
        let builder = Builder::new().name("asyncio callbacks".to_owned());
        let calls = Arc::clone(self);
        let caller = builder.hub(self.hub).spawn(move || calls.work())?;
        self.callers.fetch_add(1, Ordering::SeqCst);
        let calls = Arc::clone(self);
        caller.link(move |_| {
            if calls.callers.fetch_sub(1, Ordering::SeqCst) == 1 {
                calls.go_on();
            }
        });
        Ok(caller)
    }

    /// Lets another caller go on if the last one was killed, even before it began: the callbacks must still run. If it
    /// cannot be started now, whoever asks for the next callback tries again.
    fn go_on(self: &Arc<Calls>) {
        #[cfg(feature = "sim")]
        if self.has_ended() {
            let mut all = OF_SIMULATIONS.lock();
            return all.retain(|_, calls| !Arc::ptr_eq(calls, self));
        }
        if let Err(error) = self.have_caller() {
            log::error!(
                "callbacks of asyncio do not run on one hub until the next is asked for: {error}"
            );
        }
    }

    /// Whether they belong to a simulation that has ended, or to another than the running thread.
    #[cfg(feature = "sim")]
    fn has_ended(&self) -> bool {
        let number = greenhub::sim::number();
        number != self.simulation || number.is_none() && greenhub::sim::is_simulated()
    }

    /// What a caller does, unless another one does it.
    fn work(&self) {
        struct AtWork<'a>(&'a AtomicBool);
        impl Drop for AtWork<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::SeqCst);
            }
        }
        if !self.is_at_work.swap(true, Ordering::SeqCst) {
            let _at_work = AtWork(&self.is_at_work);
            self.run();
        }
    }

    fn run(&self) {
        let mut now = Instant::now();
        loop {
            let callback = self.next(&mut now);
            // The panic hook has told of it, as of a thread's.
            let _ = catch_unwind(AssertUnwindSafe(callback)).map_err(greenhub::discard_panic);
        }
    }

    /// Lets `callback` run as soon as the caller gets to it.
    pub(super) fn soon(self: &Arc<Calls>, callback: Callback) -> Handle {
        self.at(Instant::now(), callback)
    }

    fn at(self: &Arc<Calls>, when: Instant, callback: Callback) -> Handle {
        let handle = self.add(when, callback);
        self.have_them_run();
        handle
    }

    /// Sees to it that what was added runs. It may log, and so is not for callers with a lock.
    pub(super) fn have_them_run(self: &Arc<Calls>) {
        if self.callers.load(Ordering::SeqCst) == 0 {
            self.go_on();
        }
    }

    /// Adds a callback, and tells the caller if there is one. [`have_them_run`](Calls::have_them_run) comes next.
    pub(super) fn add(self: &Arc<Calls>, when: Instant, callback: Callback) -> Handle {
        let mut waiting = self.waiting.lock();
        waiting.number += 1;
        let due = (when, waiting.number);
        waiting.callbacks.insert(due, callback);
        let first = waiting.callbacks.first_key_value();
        let is_first = first.is_some_and(|(first, _)| *first == due);
        drop(waiting);
        // Of any other the caller learns when it has run the first.
        if is_first {
            self.caller.wake_one();
        }
        Handle {
            calls: Arc::clone(self),
            due,
            cancelled: Arc::default(),
        }
    }

    /// Waits for the next callback that is due.
    fn next(&self, now: &mut Instant) -> Callback {
        loop {
            let first = match self.waiting.lock().take_due(*now) {
                Ok(callback) => return callback,
                Err(first) => first,
            };
            // Those that were due have run. The rest of the hub goes before those that have become due since, so that
            // callbacks that ask for others do not keep it from its sockets.
            *now = Instant::now();
            if first.is_some_and(|first| first <= *now) {
                green_thread::yield_now();
                continue;
            }
            let due = first.map_or(Deadline::NEVER, Deadline::at);
            self.caller.wait("asyncio callbacks", due, || {
                let earliest = self.waiting.lock().first();
                earliest.is_none_or(|earliest| first.is_some_and(|first| earliest >= first))
            });
            *now = Instant::now();
        }
    }
}

impl Waiting {
    fn first(&self) -> Option<Instant> {
        let (&(when, _), _) = self.callbacks.first_key_value()?;
        Some(when)
    }

    /// Takes the first callback, if it is due; else says when it will be.
    fn take_due(&mut self, now: Instant) -> Result<Callback, Option<Instant>> {
        match self.callbacks.first_entry() {
            Some(first) if first.key().0 <= now => Ok(first.remove()),
            first => Err(first.map(|first| first.key().0)),
        }
    }
}

/// Runs `callback` soon, on a green thread of this hub, after those that were asked for before.
///
/// Callbacks of a hub run one at a time, in order. One that waits holds up those that come after it, but nothing else
/// on the hub: what has to wait is better off on a green thread of its own. A callback that panics is reported like a
/// thread that panics, and the next one runs. On a plain OS thread this uses the first hub's queue.
///
/// # Panics
///
/// If no green thread can be started, as [`thread::spawn`](crate::thread::spawn).
///
/// # Differences from asyncio
///
/// The closure captures its arguments. Each hub has a queue of its own, where asyncio has one for each loop.
///
/// # Examples
///
/// ```
/// use green::asyncio::{Future, call_soon};
///
/// let answer = Future::new();
/// let theirs = answer.clone();
/// call_soon(move || theirs.set_result(42).unwrap());
/// assert_eq!(answer.wait(None)?, 42);
/// # Ok::<(), green::asyncio::FutureError>(())
/// ```
pub fn call_soon(callback: impl FnOnce() + Send + 'static) -> Handle {
    Calls::here().soon(Box::new(callback))
}

/// [`call_soon`], by asyncio's name for calls from other threads. Here both may be called from any thread.
///
/// # Panics
///
/// As [`call_soon`].
///
/// # Examples
///
/// ```
/// use green::asyncio::{Future, call_soon_threadsafe};
///
/// let done = Future::new();
/// let theirs = done.clone();
/// std::thread::spawn(|| call_soon_threadsafe(move || theirs.set_result(()).unwrap()));
/// done.wait(None)?;
/// # Ok::<(), green::asyncio::FutureError>(())
/// ```
pub fn call_soon_threadsafe(callback: impl FnOnce() + Send + 'static) -> Handle {
    call_soon(callback)
}

/// Runs `callback` after `delay`; otherwise as [`call_soon`]. A delay that is too long for the clock counts as thirty
/// years.
///
/// # Panics
///
/// As [`call_soon`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use green::asyncio::{Future, call_later};
///
/// let rung = Future::new();
/// let bell = rung.clone();
/// call_later(Duration::from_millis(5), move || bell.set_result("ding").unwrap());
/// let never = call_later(Duration::from_secs(3600), || unreachable!());
/// assert_eq!(rung.wait(None)?, "ding");
/// assert!(never.cancel());
/// # Ok::<(), green::asyncio::FutureError>(())
/// ```
pub fn call_later(delay: Duration, callback: impl FnOnce() + Send + 'static) -> TimerHandle {
    let now = Instant::now();
    let when = now.checked_add(delay).unwrap_or_else(|| now + FAR_AWAY);
    call_at(when, callback)
}

/// Runs `callback` at `when`, or soon if that has passed; otherwise as [`call_soon`].
///
/// # Panics
///
/// As [`call_soon`].
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use green::asyncio::{Future, call_at};
///
/// let when = Instant::now() + Duration::from_millis(5);
/// let rung = Future::new();
/// let bell = rung.clone();
/// let handle = call_at(when, move || bell.set_result(Instant::now()).unwrap());
/// assert_eq!(handle.when(), when);
/// assert!(rung.wait(None)? >= when);
/// # Ok::<(), green::asyncio::FutureError>(())
/// ```
pub fn call_at(when: Instant, callback: impl FnOnce() + Send + 'static) -> TimerHandle {
    TimerHandle(Calls::here().at(when, Box::new(callback)))
}

/// A callback that [`call_soon`] will run. Dropping this does not cancel it.
///
/// # Examples
///
/// ```
/// use green::asyncio::{Future, call_soon};
///
/// let done = Future::new();
/// let theirs = done.clone();
/// let handle = call_soon(move || theirs.set_result(()).unwrap());
/// done.wait(None)?;
/// assert!(!handle.cancelled());
/// assert!(!handle.cancel(), "it has begun");
/// assert!(handle.cancelled());
/// # Ok::<(), green::asyncio::FutureError>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    calls: Arc<Calls>,
    due: Due,
    cancelled: Arc<AtomicBool>,
}

impl Handle {
    /// Keeps the callback from running, and drops it at once. Returns whether that was in time: once the callback has
    /// begun, nothing happens.
    pub fn cancel(&self) -> bool {
        self.cancelled.store(true, Ordering::Relaxed);
        let callback = self.calls.waiting.lock().callbacks.remove(&self.due);
        // Dropped without the lock: what it captured may do anything.
        callback.is_some()
    }

    /// Whether [`cancel`](Handle::cancel) was called, in time or not.
    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("when", &self.due.0)
            .field("cancelled", &self.cancelled())
            .finish_non_exhaustive()
    }
}

/// A callback that [`call_later`] or [`call_at`] will run. Dropping this does not cancel it.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, Instant};
///
/// use green::asyncio::call_later;
///
/// let held = Arc::new("what the callback captured");
/// let theirs = held.clone();
/// let handle = call_later(Duration::from_secs(3600), move || drop(theirs));
/// assert!(handle.when() > Instant::now());
/// assert!(handle.cancel() && handle.cancelled());
/// assert_eq!(Arc::strong_count(&held), 1);
/// ```
#[derive(Clone, Debug)]
pub struct TimerHandle(Handle);

impl TimerHandle {
    /// When the callback is due.
    pub fn when(&self) -> Instant {
        self.0.due.0
    }

    /// As [`Handle::cancel`].
    pub fn cancel(&self) -> bool {
        self.0.cancel()
    }

    /// As [`Handle::cancelled`].
    pub fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

#[cfg(test)]
mod tests;
