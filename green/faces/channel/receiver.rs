//! [`Receiver`].

use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    RecvError, RecvTimeoutError, TryRecvError,
    context::Context,
    core::Core,
    selectable::{SelectHandle, Token},
    state::{Refusal, Side},
    timer::Timer,
};
use greenhub::Deadline;

/// The receiving end of a channel. Each value goes to one of its clones; the channel disconnects,
/// and loses what it holds, with the last.
///
/// # Examples
///
/// ```
/// use green::channel::{RecvTimeoutError, unbounded};
/// use std::time::Duration;
///
/// let (sender, receiver) = unbounded();
/// sender.send(5).unwrap();
/// assert_eq!(receiver.recv(), Ok(5));
/// assert_eq!(
///     receiver.recv_timeout(Duration::from_millis(5)),
///     Err(RecvTimeoutError::Timeout)
/// );
/// drop(sender);
/// assert!(receiver.recv().is_err());
/// ```
pub struct Receiver<T> {
    flavor: Flavor<T>,
}

enum Flavor<T> {
    Values(Arc<Core<T>>),
    /// With a function that makes a message of a moment: `T` is `Instant`, and the function returns
    /// its argument.
    Timer(Arc<Timer>, fn(Instant) -> T),
    Never,
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl Receiver<Instant> {
    pub(super) fn from_timer(timer: Timer) -> Receiver<Instant> {
        Receiver {
            flavor: Flavor::Timer(Arc::new(timer), |moment| moment),
        }
    }
}

impl<T> Receiver<T> {
    /// Takes over the one receiver that a new core counts.
    pub(super) fn new(core: Arc<Core<T>>) -> Receiver<T> {
        Receiver {
            flavor: Flavor::Values(core),
        }
    }

    pub(super) fn never() -> Receiver<T> {
        Receiver {
            flavor: Flavor::Never,
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
    /// use green::channel::{TryRecvError, unbounded};
    ///
    /// let (sender, receiver) = unbounded();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send(1).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match &self.flavor {
            Flavor::Values(core) => core.try_recv().map_err(|refusal| match refusal {
                Refusal::WouldWait => TryRecvError::Empty,
                Refusal::Disconnected => TryRecvError::Disconnected,
            }),
            Flavor::Timer(timer, message) => {
                timer.try_take().map(message).ok_or(TryRecvError::Empty)
            }
            Flavor::Never => Err(TryRecvError::Empty),
        }
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
    /// use green::channel::{RecvError, unbounded};
    ///
    /// let (sender, receiver) = unbounded();
    /// let receiving = green::thread::spawn(move || (receiver.recv(), receiver.recv()));
    /// sender.send(1).unwrap();
    /// drop(sender);
    /// assert_eq!(receiving.join().unwrap(), (Ok(1), Err(RecvError)));
    /// ```
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_until(Deadline::NEVER).map_err(|_| RecvError)
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
    /// use green::channel::{RecvTimeoutError, unbounded};
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = unbounded::<u8>();
    /// let limit = Duration::from_millis(5);
    /// assert_eq!(receiver.recv_timeout(limit), Err(RecvTimeoutError::Timeout));
    /// drop(sender);
    /// assert_eq!(receiver.recv_timeout(limit), Err(RecvTimeoutError::Disconnected));
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(Deadline::after(timeout))
    }

    /// Receives, and waits for a value until `deadline`.
    ///
    /// # Errors
    ///
    /// As for [`recv_timeout`](Receiver::recv_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::unbounded;
    /// use std::time::{Duration, Instant};
    ///
    /// let (sender, receiver) = unbounded();
    /// sender.send(1).unwrap();
    /// let deadline = Instant::now() + Duration::from_millis(5);
    /// assert_eq!(receiver.recv_deadline(deadline), Ok(1));
    /// assert!(receiver.recv_deadline(deadline).is_err());
    /// ```
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(Deadline::at(deadline))
    }

    fn recv_until(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        match &self.flavor {
            Flavor::Values(core) => core.recv(deadline).map_err(|refusal| match refusal {
                Refusal::WouldWait => RecvTimeoutError::Timeout,
                Refusal::Disconnected => RecvTimeoutError::Disconnected,
            }),
            Flavor::Timer(timer, message) => timer
                .take(deadline)
                .map(message)
                .ok_or(RecvTimeoutError::Timeout),
            Flavor::Never => {
                Context::new().wait("channel: never", deadline, || true);
                Err(RecvTimeoutError::Timeout)
            }
        }
    }

    /// Whether there is nothing to receive just now. A channel of capacity zero is always empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the channel holds as many values as it may. One of capacity zero always does.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.capacity()
            .is_some_and(|capacity| self.len() >= capacity)
    }

    /// The number of values in the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = green::channel::bounded(1);
    /// assert!(receiver.is_empty());
    /// sender.send(1).unwrap();
    /// assert_eq!((receiver.len(), receiver.capacity()), (1, Some(1)));
    /// assert!(receiver.is_full());
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.flavor {
            Flavor::Values(core) => core.len(),
            Flavor::Timer(timer, _) => timer.is_due().into(),
            Flavor::Never => 0,
        }
    }

    /// The number of values that it can hold; `None` without limit.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        match &self.flavor {
            Flavor::Values(core) => core.capacity(),
            Flavor::Timer(..) => Some(1),
            Flavor::Never => Some(0),
        }
    }

    /// Whether both receive from the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::channel::unbounded;
    ///
    /// let (_sender, receiver) = unbounded::<u8>();
    /// let (_sender, other) = unbounded();
    /// assert!(receiver.same_channel(&receiver.clone()));
    /// assert!(!receiver.same_channel(&other));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        match (&self.flavor, &other.flavor) {
            (Flavor::Values(one), Flavor::Values(two)) => Arc::ptr_eq(one, two),
            (Flavor::Timer(one, _), Flavor::Timer(two, _)) => Arc::ptr_eq(one, two),
            (Flavor::Never, Flavor::Never) => true,
            _ => false,
        }
    }

    /// Receives what a `select` chose.
    pub(super) fn recv_selected(&self, token: Token) -> Result<T, RecvError> {
        match (&self.flavor, token) {
            (Flavor::Values(core), Token::Claim(claim)) => {
                core.recv_claimed(claim).map_err(|_| RecvError)
            }
            (Flavor::Timer(_, message), Token::Moment(moment)) => Ok(message(moment)),
            _ => unreachable!("the token comes from this very receiver"),
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        let flavor = match &self.flavor {
            Flavor::Values(core) => {
                core.add_handle(Side::Receiving);
                Flavor::Values(Arc::clone(core))
            }
            Flavor::Timer(timer, message) => Flavor::Timer(Arc::clone(timer), *message),
            Flavor::Never => Flavor::Never,
        };
        Receiver { flavor }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if let Flavor::Values(core) = &self.flavor {
            core.remove_handle(Side::Receiving);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}

impl<T> SelectHandle for Receiver<T> {
    fn try_select(&self) -> Option<Token> {
        match &self.flavor {
            Flavor::Values(core) => core.try_select(Side::Receiving).map(Token::Claim),
            Flavor::Timer(timer, _) => timer.try_take().map(Token::Moment),
            Flavor::Never => None,
        }
    }

    fn register(&self, context: &Arc<Context>, operation: usize) -> Option<Token> {
        match &self.flavor {
            Flavor::Values(core) => core
                .register(Side::Receiving, context, operation)
                .map(Token::Claim),
            // The clock selects nobody: the `select` wakes at its deadline and tries again.
            Flavor::Timer(..) | Flavor::Never => (!self.is_ready()).then_some(Token::Nothing),
        }
    }

    fn watch(&self, context: &Arc<Context>, operation: usize) -> Option<Token> {
        match &self.flavor {
            Flavor::Values(core) => core
                .watch(Side::Receiving, context, operation)
                .map(Token::Claim),
            Flavor::Timer(..) | Flavor::Never => (!self.is_ready()).then_some(Token::Nothing),
        }
    }

    fn cancel(&self, token: Token) {
        if let (Flavor::Values(core), Token::Claim(claim)) = (&self.flavor, token) {
            core.cancel(Side::Receiving, claim);
        }
    }

    fn is_ready(&self) -> bool {
        match &self.flavor {
            Flavor::Values(core) => core.is_ready(Side::Receiving),
            Flavor::Timer(timer, _) => timer.is_due(),
            Flavor::Never => false,
        }
    }

    fn deadline(&self) -> Deadline {
        match &self.flavor {
            Flavor::Timer(timer, _) => timer.deadline(),
            Flavor::Values(_) | Flavor::Never => Deadline::NEVER,
        }
    }

    fn address(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }
}
