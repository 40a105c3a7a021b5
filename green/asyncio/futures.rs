//! A value that is still to come.

use std::error::Error;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use greenhub::Deadline;
use greenhub::wait_queue::{ShortLock, WaitQueue, give_way};

use super::calls::Calls;

mod error;

pub use error::FutureError;

/// A result that is set once, and that any number of threads wait for.
///
/// A handle: its clones are the same future. Green threads and OS threads alike may wait for it, complete it and cancel
/// it. Waiting takes nothing away, so if a waiter is killed or its time is up, the others still get the result.
/// [`wait`](Future::wait) is what plain code calls; `async` code awaits the future itself.
///
/// Callbacks run through [`call_soon`](super::call_soon), on the hub where the future was made, in the order in which
/// they were added, and never inside the call that completes the future.
///
/// # Differences from asyncio
///
/// Each waiter gets a clone of the result; [`get`](Future::get) lends it instead. [`wait`](Future::wait) with a limit
/// does not cancel the future when the limit passes. A callback is removed by the number that adding it returned. An
/// error that nobody asked for is not reported.
///
/// # Examples
///
/// ```
/// use green::asyncio::Future;
///
/// let future = Future::new();
/// let theirs = future.clone();
/// let waiter = green::thread::spawn(move || theirs.wait(None));
/// future.set_result("ready")?;
/// assert_eq!(waiter.join().unwrap()?, "ready");
/// assert!(future.set_result("again").is_err());
/// # Ok::<(), green::asyncio::FutureError>(())
/// ```
pub struct Future<T> {
    shared: Arc<Shared<T>>,
    /// The number of this handle's waker, if it has been awaited.
    awaited: Option<u64>,
}

struct Shared<T> {
    outcome: OnceLock<Result<T, FutureError>>,
    /// Locked to complete the future, and empty from then on.
    pending: ShortLock<Pending<T>>,
    waiters: WaitQueue,
    calls: Arc<Calls>,
}

/// Whom to tell, beside those who wait.
struct Pending<T> {
    callbacks: Vec<(CallbackId, Callback<T>)>,
    /// Of the handles that are awaited, each with its number.
    wakers: Vec<(u64, Waker)>,
}

type Callback<T> = Box<dyn FnOnce(&Future<T>) + Send>;

impl<T> Default for Pending<T> {
    fn default() -> Pending<T> {
        Pending {
            callbacks: Vec::new(),
            wakers: Vec::new(),
        }
    }
}

/// Numbers callbacks and wakers.
fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// What [`Future::add_done_callback`] returns and [`Future::remove_done_callback`] takes.
///
/// # Examples
///
/// ```
/// use green::asyncio::Future;
///
/// let future = Future::<()>::new();
/// let callback = future.add_done_callback(|_| unreachable!());
/// assert!(future.remove_done_callback(callback));
/// assert!(!future.remove_done_callback(callback), "only once");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallbackId(u64);

impl<T: Send + Sync + 'static> Future<T> {
    /// A future that is not complete.
    ///
    /// # Panics
    ///
    /// As [`call_soon`](super::call_soon).
    pub fn new() -> Future<T> {
        Future::of(Arc::new(Shared {
            outcome: OnceLock::new(),
            pending: ShortLock::default(),
            waiters: WaitQueue::new(),
            calls: Calls::here(),
        }))
    }

    /// Completes the future with its result.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](FutureError::InvalidState) if it is complete already; the value is dropped then.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::{Future, FutureError};
    ///
    /// let future = Future::new();
    /// future.set_result("first")?;
    /// assert!(matches!(future.set_result("second"), Err(FutureError::InvalidState)));
    /// assert_eq!(future.result()?, "first");
    /// # Ok::<(), FutureError>(())
    /// ```
    pub fn set_result(&self, result: T) -> Result<(), FutureError> {
        self.complete(Ok(result))
    }

    /// Completes the future with an error, which all its waiters get.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](FutureError::InvalidState) if it is complete already.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::{Future, FutureError};
    ///
    /// let future = Future::<u32>::new();
    /// future.set_exception("the cable was cut")?;
    /// assert_eq!(future.wait(None).unwrap_err().to_string(), "the cable was cut");
    /// assert!(future.exception()?.is_some());
    /// # Ok::<(), FutureError>(())
    /// ```
    pub fn set_exception(
        &self,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Result<(), FutureError> {
        self.complete(Err(FutureError::Exception(Arc::from(error.into()))))
    }

    /// Cancels the future: all its waiters get [`Cancelled`](FutureError::Cancelled). If it is complete already, this
    /// does nothing and returns false.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::Future;
    ///
    /// let future = Future::<()>::new();
    /// assert!(future.cancel());
    /// assert!(future.cancelled() && future.done());
    /// assert!(!future.cancel());
    /// ```
    pub fn cancel(&self) -> bool {
        self.complete(Err(FutureError::Cancelled)).is_ok()
    }

    fn complete(&self, outcome: Result<T, FutureError>) -> Result<(), FutureError> {
        let mut pending = self.shared.pending.lock();
        let refused = self.shared.outcome.set(outcome);
        if refused.is_err() {
            // What is dropped on return may do anything.
            drop(pending);
            return Err(FutureError::InvalidState);
        }
        let Pending { callbacks, wakers } = mem::take(&mut *pending);
        self.shared.waiters.wake_all();
        // Under the lock, so that one that is added now comes behind them.
        let (now, is_anyone_called) = (Instant::now(), !callbacks.is_empty());
        for (_, callback) in callbacks {
            self.shared.calls.add(now, self.called_with(callback));
        }
        drop(pending);
        if is_anyone_called {
            self.shared.calls.have_them_run();
        }
        for (_, waker) in wakers {
            // An executor's code, which may do anything. The others are to hear all the same. A kill of the caller's waits
            // for its next wait.
            let wake = || greenhub::shield(|| waker.wake());
            let _ = catch_unwind(AssertUnwindSafe(wake)).map_err(greenhub::discard_panic);
        }
        Ok(())
    }

    fn called_with(&self, callback: Callback<T>) -> Box<dyn FnOnce() + Send> {
        let future = self.clone();
        Box::new(move || callback(&future))
    }

    /// Whether the future was cancelled.
    pub fn cancelled(&self) -> bool {
        matches!(self.shared.outcome.get(), Some(Err(FutureError::Cancelled)))
    }

    /// Whether the future is complete: has a result or an error, or was cancelled.
    pub fn done(&self) -> bool {
        self.shared.outcome.get().is_some()
    }

    /// Lends the result, without waiting: for values that cannot or should not be cloned.
    ///
    /// # Errors
    ///
    /// As [`result`](Future::result).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::Future;
    ///
    /// struct NotToBeCloned(u32);
    ///
    /// let future = Future::new();
    /// assert!(future.get().is_err());
    /// future.set_result(NotToBeCloned(7))?;
    /// assert_eq!(future.get()?.0, 7);
    /// # Ok::<(), green::asyncio::FutureError>(())
    /// ```
    pub fn get(&self) -> Result<&T, FutureError> {
        match self.shared.outcome.get() {
            None => Err(FutureError::InvalidState),
            Some(Ok(result)) => Ok(result),
            Some(Err(error)) => Err(error.clone()),
        }
    }

    /// The result, without waiting.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](FutureError::InvalidState) if there is none yet; else [`Exception`](FutureError::Exception) or
    /// [`Cancelled`](FutureError::Cancelled).
    pub fn result(&self) -> Result<T, FutureError>
    where
        T: Clone,
    {
        self.get().cloned()
    }

    /// The error that completed the future, if one did, without waiting.
    ///
    /// # Errors
    ///
    /// [`InvalidState`](FutureError::InvalidState) if it is not complete, [`Cancelled`](FutureError::Cancelled) if it
    /// was cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::{Future, FutureError};
    ///
    /// let future = Future::new();
    /// assert!(matches!(future.exception(), Err(FutureError::InvalidState)));
    /// future.set_result(1)?;
    /// assert!(future.exception()?.is_none());
    /// # Ok::<(), FutureError>(())
    /// ```
    pub fn exception(&self) -> Result<Option<Arc<dyn Error + Send + Sync>>, FutureError> {
        match self.get() {
            Ok(_) => Ok(None),
            Err(FutureError::Exception(error)) => Ok(Some(error)),
            Err(error) => Err(error),
        }
    }

    /// Waits for the result, for no longer than `limit`. A kill or a passed [`timeout`](crate::timeout()) ends the wait.
    ///
    /// A callback must not wait for a future that another callback of the same hub completes: that callback runs only
    /// after this one.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](FutureError::TimedOut) when the limit passes first, [`Exception`](FutureError::Exception),
    /// [`Cancelled`](FutureError::Cancelled).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::asyncio::{Future, FutureError, call_later};
    ///
    /// let future = Future::new();
    /// let early = future.wait(Some(Duration::from_millis(5)));
    /// assert!(matches!(early, Err(FutureError::TimedOut)));
    /// let theirs = future.clone();
    /// call_later(Duration::from_millis(5), move || theirs.set_result(3).unwrap());
    /// assert_eq!(future.wait(None)?, 3);
    /// # Ok::<(), FutureError>(())
    /// ```
    pub fn wait(&self, limit: Option<Duration>) -> Result<T, FutureError>
    where
        T: Clone,
    {
        match self.wait_done(limit) {
            true => self.result(),
            false => Err(FutureError::TimedOut),
        }
    }

    /// Waits until the future is complete, for no longer than `limit`; false when that passes first.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::asyncio::Future;
    ///
    /// let future = Future::<()>::new();
    /// assert!(!future.wait_done(Some(Duration::from_millis(5))));
    /// future.cancel();
    /// assert!(future.wait_done(None));
    /// ```
    pub fn wait_done(&self, limit: Option<Duration>) -> bool {
        give_way();
        let deadline = Deadline::within(limit);
        while !self.done() {
            let wake = self
                .shared
                .waiters
                .wait("asyncio future", deadline, || !self.done());
            if wake == greenhub::wait_queue::Wake::TimedOut {
                return self.done();
            }
        }
        true
    }

    /// Calls `callback` with this future when it is complete; soon, if it is complete already.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::Future;
    ///
    /// let (question, answer) = (Future::new(), Future::new());
    /// let theirs = answer.clone();
    /// question.add_done_callback(move |question| {
    ///     let length: usize = question.get().map_or(0, |text: &String| text.len());
    ///     theirs.set_result(length).unwrap();
    /// });
    /// let unwanted = question.add_done_callback(|_| unreachable!());
    /// assert!(question.remove_done_callback(unwanted));
    /// question.set_result("how long?".to_owned())?;
    /// assert_eq!(answer.wait(None)?, 9);
    /// # Ok::<(), green::asyncio::FutureError>(())
    /// ```
    pub fn add_done_callback(
        &self,
        callback: impl FnOnce(&Future<T>) + Send + 'static,
    ) -> CallbackId {
        let id = CallbackId(next_number());
        let mut pending = self.shared.pending.lock();
        if self.done() {
            drop(pending);
            let callback = self.called_with(Box::new(callback));
            self.shared.calls.soon(callback);
        } else {
            pending.callbacks.push((id, Box::new(callback)));
        }
        id
    }

    /// Removes a callback and drops it. False if it has been called or is about to be.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::Future;
    ///
    /// let future = Future::new();
    /// let callback = future.add_done_callback(|_| ());
    /// future.set_result(())?;
    /// assert!(!future.remove_done_callback(callback), "too late");
    /// # Ok::<(), green::asyncio::FutureError>(())
    /// ```
    pub fn remove_done_callback(&self, id: CallbackId) -> bool {
        let mut pending = self.shared.pending.lock();
        let callbacks = &mut pending.callbacks;
        let place = callbacks.iter().position(|(theirs, _)| *theirs == id);
        let callback = place.map(|place| callbacks.remove(place));
        drop(pending);
        callback.is_some()
    }
}

impl<T> Future<T> {
    fn of(shared: Arc<Shared<T>>) -> Future<T> {
        Future {
            shared,
            awaited: None,
        }
    }
}

/// A future of asyncio is one of Rust's too: `async` code awaits it, on any executor, or
/// [`block_on`](crate::block_on). Each clone can be awaited by somebody else.
///
/// # Examples
///
/// ```
/// use green::asyncio::{Future, FutureError, run_in_executor};
///
/// let (question, answer) = (Future::new(), Future::new());
/// let (asked, theirs) = (question.clone(), answer.clone());
/// let thinking = green::thread::spawn(move || {
///     green::block_on(async {
///         let base: u32 = asked.await?;
///         let square = run_in_executor(move || Ok::<_, FutureError>(base * base)).await?;
///         theirs.set_result(square)
///     })
/// });
/// question.set_result(7)?;
/// assert_eq!(green::block_on(answer)?, 49);
/// thinking.join().unwrap()?;
/// # Ok::<(), FutureError>(())
/// ```
impl<T: Clone + Send + Sync + 'static> std::future::Future for Future<T> {
    type Output = Result<T, FutureError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = &mut *self;
        if future.done() {
            return Poll::Ready(future.result());
        }
        let waker = context.waker().clone();
        let mut pending = future.shared.pending.lock();
        if future.done() {
            drop(pending);
            return Poll::Ready(future.result());
        }
        let number = *future.awaited.get_or_insert_with(next_number);
        let known = pending.wakers.iter_mut().find(|(who, _)| *who == number);
        // A waker is an executor's, and is cloned and dropped without the lock.
        let unwanted = match known {
            Some((_, known)) if known.will_wake(&waker) => waker,
            Some((_, known)) => mem::replace(known, waker),
            None => {
                pending.wakers.push((number, waker));
                return Poll::Pending;
            }
        };
        drop(pending);
        drop(unwanted);
        Poll::Pending
    }
}

impl<T> Drop for Future<T> {
    fn drop(&mut self) {
        let Some(number) = self.awaited else {
            return;
        };
        let mut pending = self.shared.pending.lock();
        let wakers = &mut pending.wakers;
        let place = wakers.iter().position(|(who, _)| *who == number);
        let waker = place.map(|place| wakers.swap_remove(place));
        drop(pending);
        drop(waker);
    }
}

impl<T: Send + Sync + 'static> Default for Future<T> {
    fn default() -> Future<T> {
        Future::new()
    }
}

impl<T> Clone for Future<T> {
    fn clone(&self) -> Future<T> {
        Future::of(Arc::clone(&self.shared))
    }
}

impl<T: fmt::Debug> fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Future")
            .field(&self.shared.outcome.get())
            .finish()
    }
}
