//! crossbeam-channel's channels for green threads and OS threads: many senders, many receivers,
//! bounded or not, and [`select!`] over several of them.
//!
//! A green thread that waits parks, and its hub goes on; an OS thread blocks. Both may hold either
//! end of the same channel. To port a program, change `use crossbeam_channel::…` to
//! `use green::channel::…`.
//!
//! Values come out in the order in which they went in. Waiting threads are served in order of
//! arrival, senders and receivers alike: a value goes to the receiver that has waited longest, even
//! if another one asks before it has woken up; threads in `recv` and threads in a [`select!`] of
//! one channel take turns. A thread whose limit passes, or which is killed while it waits, takes
//! nothing with it, and nothing is given to it.
//!
//! # Examples
//!
//! ```
//! use green::channel::{self, select};
//! use std::{thread, time::Duration};
//!
//! let (jobs, todo) = channel::bounded(8);
//! let (done, results) = channel::unbounded();
//! let worker = thread::spawn(move || {
//!     for job in todo {
//!         done.send(job * 2).unwrap();
//!     }
//! });
//!
//! jobs.send(21).unwrap();
//! drop(jobs);
//! select! {
//!     recv(results) -> result => assert_eq!(result, Ok(42)),
//!     default(Duration::from_secs(5)) => panic!("the worker is slow"),
//! }
//! worker.join().unwrap();
//! ```
//!
//! # Differences from crossbeam-channel
//!
//! - [`Select`] is neither `Send` nor `Sync`.
//! - In a channel of capacity zero, if a `select` has chosen to send, `try_recv` waits for the
//!   value that this `select` is about to hand in.
//! - If a receiver is killed while a value is on its way to it, the value goes to the next
//!   receiver, or waits for one, even in a channel that is full or of capacity zero. The sender
//!   does not wait for that.
//! - In a channel of capacity zero, if a `select` has chosen to receive, and the `select` that was to
//!   send is killed before it hands its value in, the receive waits for another sender.
//!
//! Error types are crossbeam-channel's own, re-exported.

#[doc(no_inline)]
pub use crossbeam_channel::{
    ReadyTimeoutError, RecvError, RecvTimeoutError, SelectTimeoutError, SendError,
    SendTimeoutError, TryReadyError, TryRecvError, TrySelectError, TrySendError,
};

mod context;
mod core;
mod handoff;
mod selectable;
mod state;
mod timer;

mod sender;
pub use sender::Sender;

mod readers;
mod receiver;
pub use receiver::Receiver;

mod iter;
pub use iter::{IntoIter, Iter, TryIter};

mod select;
pub use select::{Select, SelectedOperation};

#[macro_use]
mod macros;
#[doc(inline)]
pub use crate::{__channel_select as select, __channel_select_biased as select_biased};

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use self::{core::Core, timer::Timer};

/// Creates a channel without limit: sending never waits.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = green::channel::unbounded();
/// sender.send("hello").unwrap();
/// assert_eq!(receiver.recv(), Ok("hello"));
/// ```
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    channel(None)
}

/// Creates a channel for at most `cap` values: sending waits while it is full.
///
/// With capacity zero, a value passes from hand to hand: sending waits until a receiver takes it.
///
/// # Examples
///
/// ```
/// use green::channel::{TrySendError, bounded};
///
/// let (sender, receiver) = bounded(1);
/// sender.send(1).unwrap();
/// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
/// assert_eq!(receiver.recv(), Ok(1));
/// ```
#[must_use]
pub fn bounded<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    channel(Some(cap))
}

fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let core = Arc::new(Core::new(capacity));
    (Sender::new(Arc::clone(&core)), Receiver::new(core))
}

/// Creates a channel that delivers one message, after `duration`: the moment at which it was due.
///
/// It never disconnects: a second `recv` waits for ever.
///
/// # Examples
///
/// ```
/// use green::channel::{after, never, select};
/// use std::time::Duration;
///
/// let nothing = never::<()>();
/// select! {
///     recv(nothing) -> _ => unreachable!(),
///     recv(after(Duration::from_millis(10))) -> _ => println!("10 ms later"),
/// }
/// ```
#[must_use]
pub fn after(duration: Duration) -> Receiver<Instant> {
    match Instant::now().checked_add(duration) {
        Some(due) => at(due),
        None => never(),
    }
}

/// Creates a channel that delivers one message, at `when`. See [`after`].
///
/// # Examples
///
/// ```
/// use std::time::Instant;
///
/// let now = Instant::now();
/// assert_eq!(green::channel::at(now).recv(), Ok(now));
/// ```
#[must_use]
pub fn at(when: Instant) -> Receiver<Instant> {
    Receiver::from_timer(Timer::new(Some(when), None))
}

/// Creates a channel that delivers a message every `duration`: the moment at which it was due.
///
/// A receiver that is in `recv` whenever a message is due gets them exactly `duration` apart.
/// Messages do not pile up: if one is received late, the next is due `duration` after that. The
/// channel never disconnects.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// let ticks = green::channel::tick(Duration::from_millis(5));
/// assert!(ticks.recv().unwrap() - start >= Duration::from_millis(5));
/// assert!(ticks.recv().unwrap() - start >= Duration::from_millis(10));
/// ```
#[must_use]
pub fn tick(duration: Duration) -> Receiver<Instant> {
    match Instant::now().checked_add(duration) {
        Some(first) => Receiver::from_timer(Timer::new(Some(first), Some(duration))),
        None => never(),
    }
}

/// Creates a channel that delivers nothing and never disconnects: a `recv` waits for ever.
///
/// # Examples
///
/// ```
/// use green::channel::{RecvTimeoutError, never};
/// use std::time::Duration;
///
/// let limit = Duration::from_millis(5);
/// assert_eq!(never::<u8>().recv_timeout(limit), Err(RecvTimeoutError::Timeout));
/// ```
#[must_use]
pub fn never<T>() -> Receiver<T> {
    Receiver::never()
}

#[cfg(test)]
mod tests;
