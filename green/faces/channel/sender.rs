//! [`Sender`].

use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    SendError, SendTimeoutError, TrySendError,
    context::Context,
    core::Core,
    selectable::{SelectHandle, Token},
    state::{Refusal, Side},
};
use greenhub::Deadline;

/// The sending end of a channel. Clones send to the same channel; it disconnects with the last.
///
/// # Examples
///
/// ```
/// use std::thread;
///
/// let (sender, receiver) = green::channel::unbounded();
/// let other = sender.clone();
/// thread::spawn(move || other.send(1));
/// thread::spawn(move || sender.send(2));
/// assert_eq!(receiver.iter().sum::<i32>(), 3);
/// ```
pub struct Sender<T> {
    core: Arc<Core<T>>,
}

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> Sender<T> {
    /// Takes over the one sender that a new core counts.
    pub(super) fn new(core: Arc<Core<T>>) -> Sender<T> {
        Sender { core }
    }

    /// Sends if that needs no wait: there is room, or a receiver that waits.
    ///
    /// # Errors
    ///
    /// Gives the value back: [`TrySendError::Full`], or [`TrySendError::Disconnected`] if all
    /// receivers are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::{TrySendError, bounded};
    ///
    /// let (sender, receiver) = bounded(1);
    /// assert_eq!(sender.try_send(1), Ok(()));
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3), Err(TrySendError::Disconnected(3)));
    /// ```
    pub fn try_send(&self, msg: T) -> Result<(), TrySendError<T>> {
        self.core
            .try_send(msg)
            .map_err(|(msg, refusal)| match refusal {
                Refusal::WouldWait => TrySendError::Full(msg),
                Refusal::Disconnected => TrySendError::Disconnected(msg),
            })
    }

    /// Sends, and waits for room; with capacity zero, for a receiver.
    ///
    /// # Errors
    ///
    /// Gives the value back if all receivers are gone, now or while waiting.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::{SendError, bounded};
    ///
    /// let (sender, receiver) = bounded(0);
    /// let sending = green::thread::spawn(move || {
    ///     assert_eq!(sender.send(1), Ok(()));
    ///     sender.send(2)
    /// });
    /// assert_eq!(receiver.recv(), Ok(1));
    /// drop(receiver);
    /// assert_eq!(sending.join().unwrap(), Err(SendError(2)));
    /// ```
    pub fn send(&self, msg: T) -> Result<(), SendError<T>> {
        self.core
            .send(msg, Deadline::NEVER)
            .map_err(|(msg, _)| SendError(msg))
    }

    /// Sends, and waits for room for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Gives the value back: [`SendTimeoutError::Timeout`], or [`SendTimeoutError::Disconnected`]
    /// if all receivers are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::{SendTimeoutError, bounded};
    /// use std::time::Duration;
    ///
    /// let (sender, _receiver) = bounded(0);
    /// let sent = sender.send_timeout(1, Duration::from_millis(5));
    /// assert_eq!(sent, Err(SendTimeoutError::Timeout(1)));
    /// ```
    pub fn send_timeout(&self, msg: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_until(msg, Deadline::after(timeout))
    }

    /// Sends, and waits for room until `deadline`.
    ///
    /// # Errors
    ///
    /// As for [`send_timeout`](Sender::send_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::bounded;
    /// use std::time::{Duration, Instant};
    ///
    /// let (sender, _receiver) = bounded(1);
    /// let deadline = Instant::now() + Duration::from_millis(5);
    /// assert!(sender.send_deadline(1, deadline).is_ok());
    /// assert!(sender.send_deadline(2, deadline).is_err());
    /// ```
    pub fn send_deadline(&self, msg: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_until(msg, Deadline::at(deadline))
    }

    fn send_until(&self, msg: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        self.core
            .send(msg, deadline)
            .map_err(|(msg, refusal)| match refusal {
                Refusal::WouldWait => SendTimeoutError::Timeout(msg),
                Refusal::Disconnected => SendTimeoutError::Disconnected(msg),
            })
    }

    /// Whether the channel holds no value. One of capacity zero never does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.core.len() == 0
    }

    /// Whether the channel holds as many values as it may. One of capacity zero always does.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.capacity()
            .is_some_and(|capacity| self.core.len() >= capacity)
    }

    /// The number of values in the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = green::channel::bounded(2);
    /// assert!(sender.is_empty());
    /// sender.send(1).unwrap();
    /// assert_eq!((sender.len(), sender.capacity()), (1, Some(2)));
    /// sender.send(2).unwrap();
    /// assert!(sender.is_full());
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// The number of values that it can hold; `None` without limit.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.core.capacity()
    }

    /// Whether both send to the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::unbounded;
    ///
    /// let (sender, _receiver) = unbounded::<u8>();
    /// let (other, _receiver) = unbounded();
    /// assert!(sender.same_channel(&sender.clone()));
    /// assert!(!sender.same_channel(&other));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }

    pub(super) fn core(&self) -> &Core<T> {
        &self.core
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.core.add_handle(Side::Sending);
        Sender::new(Arc::clone(&self.core))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.core.remove_handle(Side::Sending);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}

impl<T> SelectHandle for Sender<T> {
    fn try_select(&self) -> Option<Token> {
        self.core.try_select(Side::Sending).map(Token::Claim)
    }

    fn register(&self, context: &Arc<Context>, operation: usize) -> Option<Token> {
        self.core
            .register(Side::Sending, context, operation)
            .map(Token::Claim)
    }

    fn watch(&self, context: &Arc<Context>, operation: usize) -> Option<Token> {
        self.core
            .watch(Side::Sending, context, operation)
            .map(Token::Claim)
    }

    fn cancel(&self, token: Token) {
        if let Token::Claim(claim) = token {
            self.core.cancel(Side::Sending, claim);
        }
    }

    fn is_ready(&self) -> bool {
        self.core.is_ready(Side::Sending)
    }

    fn deadline(&self) -> Deadline {
        Deadline::NEVER
    }

    fn address(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }
}
