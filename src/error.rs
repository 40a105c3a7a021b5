//! The errors that std has no name for, and the one predicate that knows a time-out.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;

/// The socket was closed by this process while the call waited, or before it.
///
/// It is the source of an [`io::Error`] of kind
/// [`NotConnected`](io::ErrorKind::NotConnected): neither an end of stream nor
/// a reset, because the peer did nothing.
///
/// ```
/// use green::ClosedLocally;
///
/// let error = std::io::Error::from(ClosedLocally);
/// assert!(ClosedLocally::caused(&error));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClosedLocally;

impl ClosedLocally {
    /// Whether `error` says that our own side closed the socket.
    pub fn caused(error: &io::Error) -> bool {
        error
            .get_ref()
            .is_some_and(|inner| inner.is::<ClosedLocally>())
    }
}

impl fmt::Display for ClosedLocally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed locally: another thread of this process closed the socket")
    }
}

impl Error for ClosedLocally {}

impl From<ClosedLocally> for io::Error {
    fn from(closed: ClosedLocally) -> io::Error {
        io::Error::new(io::ErrorKind::NotConnected, closed)
    }
}

/// The time limit of a block passed: see [`timeout`](crate::timeout()).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed {
    pub(crate) refused: bool,
}

impl Elapsed {
    /// Whether the block was not run at all, because time limits work by
    /// unwinding and this program is built with `panic = "abort"`.
    pub fn is_refused(&self) -> bool {
        self.refused
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.refused {
            "time limits need unwinding, and this program is built with panic = \"abort\""
        } else {
            "the time limit passed"
        })
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    /// Kind `TimedOut`, or `Unsupported` if the block was refused.
    fn from(elapsed: Elapsed) -> io::Error {
        let kind = if elapsed.refused {
            io::ErrorKind::Unsupported
        } else {
            io::ErrorKind::TimedOut
        };
        io::Error::new(kind, elapsed)
    }
}

/// What [`JoinHandle::join`](crate::green_thread::JoinHandle::join) returns, as the
/// payload of its error, when the green thread was killed.
///
/// ```
/// use green::{Killed, thread};
///
/// let sleeper = thread::spawn(|| thread::sleep(std::time::Duration::MAX));
/// sleeper.kill().unwrap();
/// assert!(sleeper.join().unwrap_err().is::<Killed>());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed;

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the green thread was killed")
    }
}

impl Error for Killed {}

impl Killed {
    /// Whether a join's error payload says that the green thread was killed
    /// rather than that it panicked.
    pub fn caused(payload: &(dyn Any + Send)) -> bool {
        payload.is::<Killed>()
    }
}

/// Whether `error` is a time limit that passed, of whatever kind: a read or
/// write time-out (`WouldBlock`, as std has it on Unix), a connect time-out or
/// a kernel's ETIMEDOUT (`TimedOut`), or [`Elapsed`].
///
/// A non-blocking call that would block has the same kind as std's read time-out, so it is
/// recognised too; only code that has called `set_nonblocking` itself can tell the two apart.
///
/// ```
/// use std::io::{Error, ErrorKind};
///
/// assert!(green::is_timeout(&Error::from(ErrorKind::TimedOut)));
/// assert!(!green::is_timeout(&Error::from(ErrorKind::ConnectionReset)));
/// ```
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}
