//! [`Event`]: something that happens once, with a value or an error for everybody who waits for it.
//!
//! # Differences from eventlet
//!
//! A wait whose limit passed can be told from one that got a value (`None` and `Some`). An error is
//! a value of the event's error type, not an exception that is raised in each waiter. Waiters that
//! were there when the event was sent get what was sent, even if it is [`reset`](Event::reset)
//! before they run.
//!
//! # Examples
//!
//! ```
//! use green::event::Event;
//! use green::thread;
//!
//! let ready = Event::new();
//! thread::scope(|scope| {
//!     let waiters = [(); 3].map(|()| scope.spawn(|| ready.wait()));
//!     ready.send("go").unwrap();
//!     for waiter in waiters {
//!         assert_eq!(waiter.join().unwrap(), Ok("go"));
//!     }
//! });
//! ```

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::{Arc, OnceLock},
    time::Duration,
};

use greenhub::Deadline;
use greenhub::wait_queue::{ShortLock, WaitQueue, Wake, give_way};

/// Something that happens once: any number of threads, green and OS, wait for it, and each gets a
/// clone of the value, or of the error, that was sent.
///
/// Sending never waits. Waiting ends at once when the event has been sent. A waiter that is killed
/// or runs out of time loses nothing: the event stays sent, and nothing is delivered to its next
/// wait.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use green::event::Event;
///
/// static GREETING: std::sync::LazyLock<Event<&str>> = std::sync::LazyLock::new(Event::new);
///
/// assert_eq!(GREETING.wait_timeout(Duration::from_millis(1)), None);
/// let waiters: Vec<_> = (0..3).map(|_| green::thread::spawn(|| GREETING.wait())).collect();
/// GREETING.send("hello").unwrap();
/// for waiter in waiters {
///     assert_eq!(waiter.join().unwrap(), Ok("hello"));
/// }
/// assert!(GREETING.send("again").is_err());
/// ```
///
/// An event that can fail names its error type:
///
/// ```
/// use green::event::Event;
///
/// let answer = Event::<u32, String>::fallible();
/// answer.send_error("no answer".to_owned()).unwrap();
/// assert!(answer.has_error());
/// assert_eq!(answer.wait(), Err("no answer".to_owned()));
/// ```
pub struct Event<T, E = Infallible> {
    round: ShortLock<Arc<Round<T, E>>>,
}

/// A panic leaves an event as it was.
impl<T, E> UnwindSafe for Event<T, E> {}
impl<T, E> RefUnwindSafe for Event<T, E> {}

/// From one reset to the next. A waiter holds on to its own.
struct Round<T, E> {
    outcome: OnceLock<Result<T, E>>,
    waiters: WaitQueue,
}

impl<T> Event<T> {
    /// An event that has not happened yet, and that cannot fail.
    ///
    /// ```
    /// use green::event::Event;
    ///
    /// let event = Event::new();
    /// event.send(7).unwrap();
    /// // It cannot fail, so there is nothing to unwrap.
    /// let Ok(value) = event.wait();
    /// assert_eq!(value, 7);
    /// ```
    #[must_use]
    pub fn new() -> Event<T> {
        Event::fallible()
    }
}

impl<T, E> Event<T, E> {
    /// An event that has not happened yet; [`send_error`](Event::send_error) sends an `E`.
    ///
    /// ```
    /// use green::event::Event;
    ///
    /// let event: Event<u32, String> = Event::fallible();
    /// event.send_error("no answer".to_owned()).unwrap();
    /// assert_eq!(event.wait().unwrap_err(), "no answer");
    /// ```
    #[must_use]
    pub fn fallible() -> Event<T, E> {
        Event {
            round: ShortLock::new(Round::new()),
        }
    }

    fn round(&self) -> Arc<Round<T, E>> {
        self.round.lock().clone()
    }

    /// Makes it happen, with this value, and wakes everybody who waits. It does not wait itself,
    /// nor for the waiters to run.
    ///
    /// ```
    /// use green::event::Event;
    ///
    /// let event = Event::new();
    /// assert_eq!(event.send("first"), Ok(()));
    /// assert_eq!(event.send("second"), Err("second"));
    /// assert_eq!(event.wait(), Ok("first"));
    /// ```
    ///
    /// # Errors
    ///
    /// Gives the value back if the event had been sent already.
    pub fn send(&self, value: T) -> Result<(), T> {
        self.finish(Ok(value)).map_err(|unsent| match unsent {
            Ok(value) => value,
            Err(_) => unreachable!("what was sent is what comes back"),
        })
    }

    /// As [`send`](Event::send), with an error, which every wait then returns.
    ///
    /// ```
    /// use green::event::Event;
    ///
    /// let event = Event::<u32, &str>::fallible();
    /// event.send_error("gone").unwrap();
    /// assert_eq!((event.wait(), event.wait()), (Err("gone"), Err("gone")));
    /// assert_eq!(event.send(7), Err(7));
    /// ```
    ///
    /// # Errors
    ///
    /// Gives the error back if the event had been sent already.
    pub fn send_error(&self, error: E) -> Result<(), E> {
        self.finish(Err(error)).map_err(|unsent| match unsent {
            Err(error) => error,
            Ok(_) => unreachable!("what was sent is what comes back"),
        })
    }

    fn finish(&self, outcome: Result<T, E>) -> Result<(), Result<T, E>> {
        let round = self.round();
        round.outcome.set(outcome)?;
        round.waiters.wake_all();
        Ok(())
    }

    /// Whether it has been sent: then a wait returns at once.
    ///
    /// ```
    /// use green::event::Event;
    ///
    /// let event = Event::new();
    /// assert!(!event.ready());
    /// event.send(()).unwrap();
    /// assert!(event.ready());
    /// ```
    #[must_use]
    pub fn ready(&self) -> bool {
        self.round().outcome.get().is_some()
    }

    /// Whether a value has been sent.
    ///
    /// ```
    /// use green::event::Event;
    ///
    /// let event = Event::<_, ()>::fallible();
    /// event.send(7).unwrap();
    /// assert!(event.has_value() && !event.has_error());
    /// ```
    #[must_use]
    pub fn has_value(&self) -> bool {
        matches!(self.round().outcome.get(), Some(Ok(_)))
    }

    /// Whether an error has been sent.
    ///
    /// ```
    /// use green::event::Event;
    ///
    /// let event = Event::<(), _>::fallible();
    /// event.send_error("gone").unwrap();
    /// assert!(event.has_error() && !event.has_value());
    /// ```
    #[must_use]
    pub fn has_error(&self) -> bool {
        matches!(self.round().outcome.get(), Some(Err(_)))
    }

    /// Turns an event that was sent into one that has not happened yet; what was sent is forgotten.
    ///
    /// ```
    /// use green::event::{Event, NotSent};
    ///
    /// let event = Event::new();
    /// assert_eq!(event.reset(), Err(NotSent));
    /// event.send(1).unwrap();
    /// assert_eq!(event.reset(), Ok(()));
    /// assert!(!event.ready());
    /// event.send(2).unwrap();
    /// assert_eq!(event.wait(), Ok(2));
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotSent`] if it had not been sent: whoever waits goes on waiting.
    pub fn reset(&self) -> Result<(), NotSent> {
        let mut round = self.round.lock();
        if round.outcome.get().is_none() {
            return Err(NotSent);
        }
        let old = std::mem::replace(&mut *round, Round::new());
        drop(round);
        // With what was sent, whose drop is user code.
        drop(old);
        Ok(())
    }

    /// How many threads wait for it.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    ///
    /// use green::{event::Event, thread};
    ///
    /// let event = Arc::new(Event::new());
    /// let theirs = event.clone();
    /// let waiter = thread::spawn(move || theirs.wait());
    /// while event.waiting() == 0 {
    ///     thread::sleep(Duration::from_millis(1));
    /// }
    /// event.send(7).unwrap();
    /// assert_eq!(waiter.join().unwrap(), Ok(7));
    /// ```
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.round().waiters.len()
    }
}

impl<T: Clone, E: Clone> Event<T, E> {
    /// Parks until the event is sent, and gives the value.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use green::{event::Event, thread};
    ///
    /// let event = Arc::new(Event::new());
    /// let theirs = event.clone();
    /// thread::spawn(move || theirs.send("hello").unwrap());
    /// assert_eq!(event.wait(), Ok("hello"));
    /// assert_eq!(event.wait(), Ok("hello"));
    /// ```
    ///
    /// # Errors
    ///
    /// The error that was sent. None, where the error type is [`Infallible`]: then
    /// `let Ok(value) = event.wait();` compiles.
    pub fn wait(&self) -> Result<T, E> {
        let round = self.round();
        loop {
            if let Some(outcome) = round.wait(Deadline::NEVER) {
                return outcome;
            }
        }
    }

    /// As [`wait`](Event::wait), for no longer than `limit`; `None` if it passed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::event::Event;
    ///
    /// let event = Event::new();
    /// assert_eq!(event.wait_timeout(Duration::from_millis(1)), None);
    /// event.send(7).unwrap();
    /// assert_eq!(event.wait_timeout(Duration::from_millis(1)), Some(Ok(7)));
    /// ```
    pub fn wait_timeout(&self, limit: Duration) -> Option<Result<T, E>> {
        self.round().wait(Deadline::after(limit))
    }

    /// What was sent, if it has been.
    ///
    /// ```
    /// use green::event::Event;
    ///
    /// let event = Event::new();
    /// assert_eq!(event.poll(), None);
    /// event.send(7).unwrap();
    /// assert_eq!(event.poll(), Some(Ok(7)));
    /// ```
    pub fn poll(&self) -> Option<Result<T, E>> {
        self.round().outcome.get().cloned()
    }
}

impl<T, E> Round<T, E> {
    fn new() -> Arc<Round<T, E>> {
        Arc::new(Round {
            outcome: OnceLock::new(),
            waiters: WaitQueue::new(),
        })
    }
}

impl<T: Clone, E: Clone> Round<T, E> {
    /// `None`: the deadline passed.
    fn wait(&self, deadline: Deadline) -> Option<Result<T, E>> {
        give_way();
        loop {
            if let Some(outcome) = self.outcome.get() {
                return Some(outcome.clone());
            }
            let unsent = || self.outcome.get().is_none();
            if self.waiters.wait("event", deadline, unsent) == Wake::TimedOut {
                return self.outcome.get().cloned();
            }
        }
    }
}

impl<T> Default for Event<T> {
    fn default() -> Event<T> {
        Event::new()
    }
}

impl<T, E> fmt::Debug for Event<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("ready", &self.ready())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// The event had not been sent, so it cannot be reset: see [`Event::reset`].
///
/// ```
/// use green::event::{Event, NotSent};
///
/// assert_eq!(Event::<()>::new().reset(), Err(NotSent));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSent;

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event that was not sent cannot be reset")
    }
}

impl Error for NotSent {}
