//! Signals for green threads: a listener that waits for them, as a call or as an iterator.
//!
//! Signals are caught by way of the `signal-hook` crate, so this module gets on with other users of that crate, and any
//! number of listeners hear each signal. The handler itself only marks the signal and wakes the listener; nothing of
//! the program runs inside it.
//!
//! As with plain signals, several of one kind that come before anyone listens are heard as one.
//!
//! After the last listener of a signal has gone, the signal is ignored; what it did before (to end the program, say) is
//! not put back. `signal_hook::low_level::emulate_default_handler` does that on demand.
//!
//! # Safety
//!
//! The only unsafe code hands `signal-hook` an action that keeps to what a signal handler may do.
//!
//! # Examples
//!
//! ```
//! use green::signal::{Signals, consts::SIGHUP};
//!
//! let signals = Signals::new([SIGHUP])?;
//! let reloading = green::thread::spawn(move || signals.wait());
//! signal_hook::low_level::raise(SIGHUP)?;
//! assert_eq!(reloading.join().unwrap()?, SIGHUP);
//! # Ok::<(), std::io::Error>(())
//! ```
#![expect(unsafe_code, reason = "to install a signal handler is unsafe")]

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ffi::c_int;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::source::{Direction, Source};
use greenhub::wait_queue::ShortLock;
use rustix::event::{EventfdFlags, eventfd};
use signal_hook::SigId;
use signal_hook::low_level::{register, unregister};

/// The numbers of the signals: `SIGINT`, `SIGTERM`, `SIGHUP` …
pub use signal_hook::consts::signal as consts;

/// A listener for signals.
///
/// Several green or OS threads may wait on one listener; each signal goes to one of them. Each of several listeners
/// hears every signal. A dropped listener stops listening.
///
/// # Examples
///
/// ```
/// use green::signal::{Signals, consts::SIGUSR1};
///
/// let signals = Signals::new([SIGUSR1])?;
/// signal_hook::low_level::raise(SIGUSR1)?;
/// assert_eq!(signals.wait()?, SIGUSR1);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Signals {
    caught: Arc<Caught>,
    /// Readable when the handler has rung.
    bell: Source,
    actions: ShortLock<BTreeMap<c_int, SigId>>,
}

/// What a handler and a listener share.
struct Caught {
    /// Bit n - 1 stands for signal n.
    pending: AtomicU64,
    /// The same eventfd as the listener's bell, to write to.
    bell: OwnedFd,
}

impl Caught {
    /// Runs inside a signal handler: two atomic operations and a write(2) that cannot wait.
    fn catch(&self, signal: c_int) {
        self.pending.fetch_or(bit(signal), Ordering::SeqCst);
        self.ring();
    }

    fn ring(&self) {
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Takes the lowest pending signal.
    fn take(&self) -> Option<c_int> {
        let taken = |pending: u64| (pending != 0).then(|| pending & (pending - 1));
        let before = self
            .pending
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, taken)
            .ok()?;
        if taken(before) != Some(0) {
            // More are left, maybe for another waiter, whose ring was swallowed together with ours.
            self.ring();
        }
        Some(before.trailing_zeros() as c_int + 1)
    }
}

fn bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

impl Signals {
    /// Listens for `signals`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is no signal and for those that cannot be caught: SIGKILL and SIGSTOP by nature, SIGSEGV,
    /// SIGILL and SIGFPE because the program cannot go on after one. Else those of eventfd(2) and sigaction(2).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::signal::{Signals, consts};
    ///
    /// let signals = Signals::new([consts::SIGHUP, consts::SIGTERM])?;
    /// assert_eq!(signals.pending().next(), None);
    /// assert!(Signals::new([consts::SIGKILL]).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new<I, S>(signals: I) -> io::Result<Signals>
    where
        I: IntoIterator<Item = S>,
        S: Borrow<c_int>,
    {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let caught = Arc::new(Caught {
            pending: AtomicU64::new(0),
            bell: bell.try_clone()?,
        });
        let listener = Signals {
            caught,
            bell: Source::new(bell),
            actions: ShortLock::default(),
        };
        for signal in signals {
            listener.add(*signal.borrow())?;
        }
        Ok(listener)
    }

    /// Listens for one more signal. Harmless if it is heard already.
    ///
    /// # Errors
    ///
    /// As [`new`](Signals::new).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::signal::{Signals, consts::{SIGUSR1, SIGUSR2}};
    ///
    /// let signals = Signals::new([SIGUSR1])?;
    /// signals.add(SIGUSR2)?;
    /// signal_hook::low_level::raise(SIGUSR2)?;
    /// assert_eq!(signals.wait()?, SIGUSR2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn add(&self, signal: c_int) -> io::Result<()> {
        if !(1..=64).contains(&signal) {
            let message = format!("{signal} is not the number of a signal");
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        if signal_hook::consts::FORBIDDEN.contains(&signal) {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("this signal");
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("{name} cannot be caught"),
            ));
        }
        let mut actions = self.actions.lock();
        if actions.contains_key(&signal) {
            return Ok(());
        }
        let caught = Arc::clone(&self.caught);
        // SAFETY: `catch` neither allocates nor locks nor panics (`signal` is in range); it sets a bit and calls write(2),
        // which is on the list of what a handler may call, without touching errno.
        let action = unsafe { register(signal, move || caught.catch(signal)) }?;
        actions.insert(signal, action);
        Ok(())
    }

    /// Stops listening for a signal. Returns whether it was listened for. One that is pending is still heard.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::signal::{Signals, consts::SIGUSR1};
    ///
    /// let signals = Signals::new([SIGUSR1])?;
    /// assert!(signals.remove(SIGUSR1));
    /// assert!(!signals.remove(SIGUSR1));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn remove(&self, signal: c_int) -> bool {
        self.actions.lock().remove(&signal).is_some_and(unregister)
    }

    /// Waits for the next signal and returns its number; of several pending ones, the lowest.
    ///
    /// # Errors
    ///
    /// `NotConnected` after [`close`](Signals::close).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::signal::{Signals, consts::{SIGUSR1, SIGUSR2}};
    ///
    /// let signals = Signals::new([SIGUSR1, SIGUSR2])?;
    /// let waiting = green::thread::spawn(move || signals.wait());
    /// signal_hook::low_level::raise(SIGUSR2)?;
    /// assert_eq!(waiting.join().unwrap()?, SIGUSR2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait(&self) -> io::Result<c_int> {
        self.next_signal(Deadline::NEVER)
    }

    /// As [`wait`](Signals::wait), for no longer than `limit`; `None` after it.
    ///
    /// # Errors
    ///
    /// As [`wait`](Signals::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::signal::{Signals, consts::SIGHUP};
    /// use std::time::Duration;
    ///
    /// let signals = Signals::new([SIGHUP])?;
    /// assert_eq!(signals.wait_timeout(Duration::from_millis(10))?, None);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait_timeout(&self, limit: Duration) -> io::Result<Option<c_int>> {
        match self.next_signal(Deadline::after(limit)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            result => result.map(Some),
        }
    }

    /// Returns the signals that have come, without waiting. Empty after [`close`](Signals::close).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::signal::{Signals, consts::{SIGUSR1, SIGUSR2}};
    ///
    /// let signals = Signals::new([SIGUSR1, SIGUSR2])?;
    /// signal_hook::low_level::raise(SIGUSR2)?;
    /// signal_hook::low_level::raise(SIGUSR1)?;
    /// assert_eq!(signals.pending().collect::<Vec<_>>(), [SIGUSR1, SIGUSR2]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pending(&self) -> impl Iterator<Item = c_int> {
        std::iter::from_fn(|| self.next_signal(Deadline::NOW).ok())
    }

    /// Returns the signals one by one, waiting for each, until [`close`](Signals::close).
    ///
    /// # Examples
    ///
    /// ```
    /// use green::signal::{Signals, consts::SIGUSR1};
    ///
    /// let signals = Signals::new([SIGUSR1])?;
    /// signal_hook::low_level::raise(SIGUSR1)?;
    /// for signal in signals.forever() {
    ///     assert_eq!(signal, SIGUSR1);
    ///     signals.close();
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn forever(&self) -> Forever<'_> {
        Forever { signals: self }
    }

    /// Stops listening and ends all waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::signal::{Signals, consts::SIGHUP};
    /// use std::sync::Arc;
    ///
    /// let signals = Arc::new(Signals::new([SIGHUP])?);
    /// let listener = Arc::clone(&signals);
    /// let waiting = green::thread::spawn(move || listener.wait());
    /// signals.close();
    /// assert!(waiting.join().unwrap().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close(&self) {
        for (_, action) in std::mem::take(&mut *self.actions.lock()) {
            unregister(action);
        }
        self.bell.close();
    }

    fn next_signal(&self, deadline: Deadline) -> io::Result<c_int> {
        self.bell.retry(Direction::Read, deadline, |bell| {
            // First the bell, then the signals: one that comes in between rings again.
            let _ = rustix::io::read(bell, &mut [0; 8]);
            self.caught
                .take()
                .ok_or_else(|| ErrorKind::WouldBlock.into())
        })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals")
            .field("heard", &self.actions.lock().keys())
            .finish_non_exhaustive()
    }
}

/// The signals of a listener one by one, made by [`Signals::forever`]. [`next`](Iterator::next) parks until one comes.
///
/// ```
/// use green::signal::{Forever, Signals, consts::{SIGUSR1, SIGUSR2}};
///
/// let signals = Signals::new([SIGUSR1, SIGUSR2])?;
/// let mut heard: Forever<'_> = signals.forever();
/// signal_hook::low_level::raise(SIGUSR2)?;
/// assert_eq!(heard.next(), Some(SIGUSR2));
/// signals.close();
/// assert_eq!(heard.next(), None);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Forever<'a> {
    signals: &'a Signals,
}

impl Iterator for Forever<'_> {
    type Item = c_int;

    fn next(&mut self) -> Option<c_int> {
        self.signals.wait().ok()
    }
}

impl<'a> IntoIterator for &'a Signals {
    type Item = c_int;
    type IntoIter = Forever<'a>;

    fn into_iter(self) -> Forever<'a> {
        self.forever()
    }
}

/// Waits for the next Ctrl-C (SIGINT).
///
/// From the first call on, Ctrl-C no longer ends the program; one that comes between two calls is not heard. A program
/// that must hear each one keeps a [`Signals`].
///
/// # Errors
///
/// As [`Signals::new`].
///
/// # Examples
///
/// ```no_run
/// green::signal::ctrl_c()?;
/// green::println!("closing down");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn ctrl_c() -> io::Result<()> {
    Signals::new([consts::SIGINT])?.wait().map(drop)
}
