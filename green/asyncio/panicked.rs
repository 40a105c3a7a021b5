//! A protocol that panics ends its connection, not its green thread.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a call of a protocol, and makes an error of a panic.
pub(super) fn guarded<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        let message = greenhub::panic_message(&*payload).map(str::to_owned);
        greenhub::discard_panic(payload);
        Err(io::Error::other(ProtocolPanicked { message }))
    })
}

/// A protocol's call panicked: what [`connection_lost`](super::Protocol::connection_lost) gets, inside an `io::Error`
/// of kind `Other`.
///
/// # Examples
///
/// ```
/// use std::io::{self, Write};
///
/// use green::asyncio::{
///     ConnectionOptions, Future, Protocol, ProtocolPanicked, create_connection_over,
/// };
/// use green::os::unix::net::UnixStream;
///
/// struct Clumsy(Future<String>);
///
/// impl Protocol for Clumsy {
///     fn data_received(&mut self, _: &[u8]) -> io::Result<()> {
///         panic!("oh dear");
///     }
///
///     fn connection_lost(&mut self, error: Option<io::Error>) {
///         let cause = error.and_then(|error| error.downcast::<ProtocolPanicked>().ok());
///         let message = cause.as_ref().and_then(|cause| cause.message());
///         self.0.set_result(message.unwrap_or_default().to_owned()).unwrap();
///     }
/// }
///
/// let told = Future::new();
/// let (ours, mut theirs) = UnixStream::pair()?;
/// create_connection_over(|| Clumsy(told.clone()), ours, ConnectionOptions::new())?;
/// theirs.write_all(b"x")?;
/// assert_eq!(told.wait(None)?, "oh dear");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProtocolPanicked {
    message: Option<String>,
}

impl ProtocolPanicked {
    /// The panic's message, if it had one. A green thread that was killed has none.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl fmt::Display for ProtocolPanicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "the protocol panicked: {message}"),
            None => f.write_str("the protocol's call was unwound"),
        }
    }
}

impl std::error::Error for ProtocolPanicked {}
