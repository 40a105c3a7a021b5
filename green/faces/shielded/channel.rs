//! [`green::channel`](crate::channel), whose waits are shielded.
//!
//! There is no `select!` here: put [`Select`](crate::channel::Select) into a [`shield`](crate::shield()).
//!
//! # Examples
//!
//! ```
//! use green::shielded::channel::bounded;
//! use green::thread;
//!
//! let (send, receive) = bounded(0);
//! let waiter = thread::spawn(move || {
//!     let received = receive.recv();
//!     assert_eq!(received, Ok("a value"));
//!     // The kill acts here.
//!     thread::yield_now();
//! });
//! while !waiter.is_started() {
//!     thread::yield_now();
//! }
//! waiter.kill()?;
//! send.send("a value").unwrap();
//! assert!(waiter.join().is_err());
//! # Ok::<(), std::io::Error>(())
//! ```

use std::time::{Duration, Instant};

use super::{converted, received_by_iterators, shielded};
use crate::channel;
use crate::shield;

#[doc(no_inline)]
pub use crate::channel::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryIter, TryRecvError, TrySendError,
};

/// As [`channel::unbounded`].
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    let (send, receive) = channel::unbounded();
    (Sender(send), Receiver(receive))
}

/// As [`channel::bounded`].
pub fn bounded<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    let (send, receive) = channel::bounded(cap);
    (Sender(send), Receiver(receive))
}

/// As [`channel::after`].
pub fn after(duration: Duration) -> Receiver<Instant> {
    Receiver(channel::after(duration))
}

/// As [`channel::at`].
pub fn at(when: Instant) -> Receiver<Instant> {
    Receiver(channel::at(when))
}

/// As [`channel::tick`].
pub fn tick(duration: Duration) -> Receiver<Instant> {
    Receiver(channel::tick(duration))
}

/// As [`channel::never`].
pub fn never<T>() -> Receiver<T> {
    Receiver(channel::never())
}

shielded! {
    /// As [`channel::Sender`].
    Sender [T] [T] over channel::Sender<T>
}
converted! { Sender [T] [T] over channel::Sender<T> }

impl<T> Sender<T> {
    /// As [`channel::Sender::send`].
    ///
    /// # Errors
    ///
    /// Gives `msg` back if the channel is disconnected.
    pub fn send(&self, msg: T) -> Result<(), SendError<T>> {
        shield(|| self.0.send(msg))
    }

    /// As [`channel::Sender::send_timeout`].
    ///
    /// # Errors
    ///
    /// Gives `msg` back if the time passes or the channel is disconnected.
    pub fn send_timeout(&self, msg: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        shield(|| self.0.send_timeout(msg, timeout))
    }

    /// As [`channel::Sender::send_deadline`].
    ///
    /// # Errors
    ///
    /// Gives `msg` back if the deadline passes or the channel is disconnected.
    pub fn send_deadline(&self, msg: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        shield(|| self.0.send_deadline(msg, deadline))
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender(self.0.clone())
    }
}

shielded! {
    /// As [`channel::Receiver`].
    Receiver [T] [T] over channel::Receiver<T>
}
converted! { Receiver [T] [T] over channel::Receiver<T> }

impl<T> Receiver<T> {
    /// As [`channel::Receiver::recv`].
    ///
    /// # Errors
    ///
    /// If the channel is empty and disconnected.
    pub fn recv(&self) -> Result<T, RecvError> {
        shield(|| self.0.recv())
    }

    /// As [`channel::Receiver::recv_timeout`].
    ///
    /// # Errors
    ///
    /// If the time passes, or the channel is empty and disconnected.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        shield(|| self.0.recv_timeout(timeout))
    }

    /// As [`channel::Receiver::recv_deadline`].
    ///
    /// # Errors
    ///
    /// If the deadline passes, or the channel is empty and disconnected.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        shield(|| self.0.recv_deadline(deadline))
    }

    /// As [`channel::Receiver::iter`].
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        Receiver(self.0.clone())
    }
}

received_by_iterators!();
