//! The error after trying in vain.

use std::error::Error;
use std::fmt;
use std::io;

/// [`Reconnect::run`](super::Reconnect::run) did not succeed: the last error, and after how many attempts.
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use std::time::Duration;
///
/// use green::reconnect::Reconnect;
///
/// let mut server = Reconnect::new(|| Err::<(), _>(Error::from(ErrorKind::ConnectionRefused)))
///     .pauses(Duration::from_millis(1)..=Duration::from_millis(2))
///     .attempts(2);
/// let gave_up = server.run(|()| Ok(())).unwrap_err();
/// assert_eq!(gave_up.to_string(), "gave up after 2 attempts: connection refused");
/// assert!(!gave_up.is_permanent());
/// // Where an `io::Error` is wanted, the last one does.
/// assert_eq!(Error::from(gave_up).kind(), ErrorKind::ConnectionRefused);
/// ```
#[derive(Debug)]
pub struct GaveUp {
    attempts: u32,
    permanent: bool,
    error: io::Error,
}

impl GaveUp {
    pub(super) fn new(attempts: u32, permanent: bool, error: io::Error) -> Self {
        Self {
            attempts,
            permanent,
            error,
        }
    }

    /// How many attempts have failed since things were last well. At least 1.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether trying again would not help; if false, a limit was reached.
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// The last error.
    pub fn error(&self) -> &io::Error {
        &self.error
    }
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempts {
            1 => write!(f, "gave up after 1 attempt: {}", self.error),
            many => write!(f, "gave up after {many} attempts: {}", self.error),
        }
    }
}

impl Error for GaveUp {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl From<GaveUp> for io::Error {
    /// The last error, as it was: kind, raw code and all.
    fn from(gave_up: GaveUp) -> io::Error {
        gave_up.error
    }
}
