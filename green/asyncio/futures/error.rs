//! Why a future has no result.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Why a [`Future`](super::Future) has no result.
///
/// # Examples
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use std::time::Duration;
///
/// use green::asyncio::{Future, FutureError};
///
/// let future = Future::<u32>::new();
/// assert!(matches!(future.result(), Err(FutureError::InvalidState)));
/// let limit = Some(Duration::from_millis(5));
/// assert!(matches!(future.wait(limit), Err(FutureError::TimedOut)));
/// future.set_exception(Error::from(ErrorKind::BrokenPipe))?;
/// let error = Error::from(future.wait(None).unwrap_err());
/// assert_eq!(error.kind(), ErrorKind::BrokenPipe);
/// # Ok::<(), FutureError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FutureError {
    /// It was cancelled.
    Cancelled,
    /// It was completed by this error.
    Exception(Arc<dyn Error + Send + Sync>),
    /// It is complete already, or not complete yet, and the call needs the opposite.
    InvalidState,
    /// The limit of the wait passed first; the future may still complete.
    TimedOut,
}

impl fmt::Display for FutureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FutureError::Cancelled => f.write_str("the future was cancelled"),
            FutureError::Exception(error) => error.fmt(f),
            FutureError::InvalidState => {
                f.write_str("the future is not in the state that the call needs")
            }
            FutureError::TimedOut => f.write_str("the future was not complete in time"),
        }
    }
}

impl Error for FutureError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            FutureError::Exception(error) => error.source(),
            _ => None,
        }
    }
}

/// `TimedOut` for the limit, the kind of an `io::Error` inside, else `Other`. The future's error is inside.
impl From<FutureError> for io::Error {
    fn from(error: FutureError) -> io::Error {
        let kind = match &error {
            FutureError::TimedOut => io::ErrorKind::TimedOut,
            FutureError::Exception(cause) => cause
                .downcast_ref::<io::Error>()
                .map_or(io::ErrorKind::Other, io::Error::kind),
            FutureError::Cancelled | FutureError::InvalidState => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
