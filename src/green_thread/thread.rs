//! A handle to a thread of either kind: its id, its name, its park token.

use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use crate::hub::current;
use crate::hub::task::Task;

/// A handle to a green thread, or to a plain OS thread that used this crate.
///
/// # Differences from std
///
/// An id counts both kinds of threads and is not std's id of the OS thread.
#[derive(Clone)]
pub struct Thread {
    pub(crate) task: Arc<Task>,
}

// As std's: a handle shows no broken state.
impl UnwindSafe for Thread {}
impl RefUnwindSafe for Thread {}

/// Identifies a thread for the life of the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ThreadId(NonZeroU64);

impl ThreadId {
    pub(crate) fn new(id: u64) -> ThreadId {
        ThreadId(NonZeroU64::new(id).expect("ids begin at 1"))
    }

    /// The id as a number: what a report shows.
    pub fn as_u64(&self) -> NonZeroU64 {
        self.0
    }
}

impl Thread {
    /// The thread's id.
    pub fn id(&self) -> ThreadId {
        ThreadId::new(self.task.id)
    }

    /// The thread's name, if it was given one.
    pub fn name(&self) -> Option<&str> {
        self.task.name.as_deref()
    }

    /// The number of the hub that a green thread runs on, as
    /// [`Builder::hub`](super::Builder::hub) takes it; `None` for an OS thread.
    ///
    /// ```
    /// use green::thread::{Builder, current, spawn};
    ///
    /// assert_eq!(current().hub(), None);
    /// let first = Builder::new().hub(0).spawn(|| current().hub()).unwrap();
    /// assert_eq!(first.join().unwrap(), Some(0));
    /// ```
    pub fn hub(&self) -> Option<usize> {
        self.task.green().map(|green| green.home.index)
    }

    /// Makes the thread's token available: its `park`, under way or the next,
    /// returns.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::thread::{park, spawn};
    ///
    /// let parked = spawn(park);
    /// parked.thread().unpark();
    /// parked.join().unwrap();
    /// ```
    pub fn unpark(&self) {
        super::park::unpark(&self.task);
    }

    /// Ends the green thread, as [`JoinHandle::kill`](super::JoinHandle::kill) does, for callers that do not have
    /// its `JoinHandle`, which has only one owner. A green thread that kills [`current`] ends at its next wait.
    ///
    /// ```
    /// use green::{Killed, thread::{park, spawn}};
    ///
    /// let handle = spawn(park);
    /// let thread = handle.thread().clone();
    /// spawn(move || thread.kill()).join().unwrap()?;
    /// assert!(handle.join().unwrap_err().is::<Killed>());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Unsupported` for an OS thread, and in a program built with `panic = "abort"`.
    pub fn kill(&self) -> io::Result<()> {
        if self.task.green().is_none() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "an OS thread cannot be killed",
            ));
        }
        super::kill::kill(&self.task)
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// A handle to the running thread, green or OS.
///
/// # Examples
///
/// ```
/// use green::thread::{Builder, current};
///
/// let handle = Builder::new()
///     .name("worker".to_owned())
///     .spawn(|| current().name().map(str::to_owned))
///     .unwrap();
/// assert_eq!(handle.join().unwrap().as_deref(), Some("worker"));
/// ```
pub fn current() -> Thread {
    current::with(|task| Thread { task: task.clone() })
}

/// Whether the running thread is unwinding, because of a panic, a kill or a
/// time limit that passed.
///
/// # Differences from std
///
/// - A neighbour on the same OS thread that is parked while it unwinds does not
///   count; it does for [`std::thread::panicking`].
/// - A green thread that is killed before its first run counts while what it had
///   captured is dropped.
pub fn panicking() -> bool {
    if std::thread::panicking() {
        current::with(|task| task.is_panicking())
    } else {
        current::with_known(|task| task.interrupts.is_unrun()).unwrap_or(false)
    }
}
