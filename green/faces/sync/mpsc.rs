//! [`std::sync::mpsc`] for green threads: channels with many senders and one receiver.
//!
//! The same channels as in [`green::channel`](crate::channel), behind std's names. A green thread
//! that waits parks, an OS thread blocks, and either may hold either end.
//!
//! # Differences from std
//!
//! - If a green thread is killed in `recv`, a value that was on its way to it is the next one that
//!   the receiver delivers. For its sender it counts as sent.
//! - Iterators and errors are as in std; the errors *are* std's.

#[doc(no_inline)]
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

use std::{
    cell::Cell,
    fmt,
    marker::PhantomData,
    panic::{RefUnwindSafe, UnwindSafe},
    time::Duration,
};

use crate::channel;

/// Creates a channel without limit: sending never waits.
///
/// # Examples
///
/// ```
/// use green::sync::mpsc::channel;
/// use std::thread;
///
/// let (sender, receiver) = channel();
/// for number in 0..3 {
///     let sender = sender.clone();
///     thread::spawn(move || sender.send(number));
/// }
/// drop(sender);
/// assert_eq!(receiver.iter().sum::<i32>(), 3);
/// ```
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = channel::unbounded();
    (Sender { channel: sender }, Receiver::new(receiver))
}

/// Creates a channel for at most `bound` values: sending waits while it is full.
///
/// With a bound of zero, sending waits until the receiver takes the value.
///
/// # Examples
///
/// ```
/// use green::sync::mpsc::{TrySendError, sync_channel};
///
/// let (sender, receiver) = sync_channel(1);
/// sender.send("one").unwrap();
/// assert_eq!(sender.try_send("two"), Err(TrySendError::Full("two")));
/// assert_eq!(receiver.recv(), Ok("one"));
/// ```
#[must_use]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let (sender, receiver) = channel::bounded(bound);
    (SyncSender { channel: sender }, Receiver::new(receiver))
}

/// The sending end of a [`channel()`].
pub struct Sender<T> {
    channel: channel::Sender<T>,
}

/// The sending end of a [`sync_channel`].
pub struct SyncSender<T> {
    channel: channel::Sender<T>,
}

/// The receiving end of a [`channel()`] or [`sync_channel`].
pub struct Receiver<T> {
    channel: channel::Receiver<T>,
    /// Not `Sync`, as std's is not.
    not_sync: PhantomData<Cell<()>>,
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Sender<T> {
    /// Sends, without waiting.
    ///
    /// # Errors
    ///
    /// Gives the value back if the receiver is gone. Success does not mean that it will be received.
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        send(&self.channel, t)
    }
}

impl<T> SyncSender<T> {
    /// Sends, and waits for room; with a bound of zero, for the receiver.
    ///
    /// # Errors
    ///
    /// Gives the value back if the receiver is gone, now or while waiting.
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        send(&self.channel, t)
    }

    /// Sends if that needs no wait: there is room, or the receiver waits.
    ///
    /// # Errors
    ///
    /// Gives the value back: [`TrySendError::Full`], or [`TrySendError::Disconnected`] if the
    /// receiver is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::mpsc::{TrySendError, sync_channel};
    ///
    /// let (sender, receiver) = sync_channel(1);
    /// assert_eq!(sender.try_send(1), Ok(()));
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3), Err(TrySendError::Disconnected(3)));
    /// ```
    pub fn try_send(&self, t: T) -> Result<(), TrySendError<T>> {
        self.channel.try_send(t).map_err(|error| match error {
            channel::TrySendError::Full(t) => TrySendError::Full(t),
            channel::TrySendError::Disconnected(t) => TrySendError::Disconnected(t),
        })
    }
}

fn send<T>(channel: &channel::Sender<T>, t: T) -> Result<(), SendError<T>> {
    channel
        .send(t)
        .map_err(|channel::SendError(t)| SendError(t))
}

impl<T> Receiver<T> {
    fn new(channel: channel::Receiver<T>) -> Receiver<T> {
        Receiver {
            channel,
            not_sync: PhantomData,
        }
    }

    /// Receives if that needs no wait.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`], or [`TryRecvError::Disconnected`] if nothing can come any more.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::mpsc::{TryRecvError, channel};
    ///
    /// let (sender, receiver) = channel();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send(1).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.channel.try_recv().map_err(|error| match error {
            channel::TryRecvError::Empty => TryRecvError::Empty,
            channel::TryRecvError::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// Receives, and waits for a value.
    ///
    /// # Errors
    ///
    /// If the channel is empty and all senders are gone, now or while waiting.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::mpsc::{RecvError, channel};
    ///
    /// let (sender, receiver) = channel();
    /// green::thread::spawn(move || sender.send(1));
    /// assert_eq!(receiver.recv(), Ok(1));
    /// assert_eq!(receiver.recv(), Err(RecvError));
    /// ```
    pub fn recv(&self) -> Result<T, RecvError> {
        self.channel.recv().map_err(|_| RecvError)
    }

    /// Receives, and waits for a value for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`], or [`RecvTimeoutError::Disconnected`] if nothing can come any
    /// more.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::mpsc::{RecvTimeoutError, channel};
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = channel::<u8>();
    /// let limit = Duration::from_millis(5);
    /// assert_eq!(receiver.recv_timeout(limit), Err(RecvTimeoutError::Timeout));
    /// drop(sender);
    /// assert_eq!(receiver.recv_timeout(limit), Err(RecvTimeoutError::Disconnected));
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.channel
            .recv_timeout(timeout)
            .map_err(|error| match error {
                channel::RecvTimeoutError::Timeout => RecvTimeoutError::Timeout,
                channel::RecvTimeoutError::Disconnected => RecvTimeoutError::Disconnected,
            })
    }

    /// Receives until the channel is empty and disconnected, and waits in between.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = green::sync::mpsc::channel();
    /// green::thread::spawn(move || (1..=3).try_for_each(|value| sender.send(value)));
    /// assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2, 3]);
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { rx: self }
    }

    /// Receives until it would have to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = green::sync::mpsc::channel();
    /// sender.send(1).unwrap();
    /// sender.send(2).unwrap();
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { rx: self }
    }
}

// The three fields are named as `Debug` shows them in std.

/// Waits for each value; ends when the channel is empty and disconnected. Made by
/// [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T: 'a> {
    rx: &'a Receiver<T>,
}

/// Never waits; ends when the channel is empty. Made by [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T: 'a> {
    rx: &'a Receiver<T>,
}

/// As [`Iter`], but owns the receiver.
#[derive(Debug)]
pub struct IntoIter<T> {
    rx: Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.rx.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.rx.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.rx.recv().ok()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { rx: self }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender {
            channel: self.channel.clone(),
        }
    }
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> SyncSender<T> {
        SyncSender {
            channel: self.channel.clone(),
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncSender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
