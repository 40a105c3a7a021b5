//! What a handler returns when it is done.

use std::error::Error;
use std::fmt;
use std::io;

use greenhub::one_line;

/// Ends the server: a handler's `Err(StopServe)`.
///
/// ```
/// use std::io::{BufRead, BufReader};
///
/// use green::convenience::StopServe;
/// use green::net::TcpStream;
///
/// fn handle(stream: TcpStream) -> Result<(), StopServe> {
///     let mut line = String::new();
///     match BufReader::new(stream).read_line(&mut line) {
///         Ok(_) if line.trim() == "shutdown" => Err(StopServe::new()),
///         _ => Ok(()),
///     }
/// }
/// ```
#[derive(Debug, Default)]
pub struct StopServe(Option<io::Error>);

impl StopServe {
    /// The server ends without an error.
    ///
    /// ```
    /// use green::convenience::StopServe;
    ///
    /// assert_eq!(StopServe::new().to_string(), "the server is to stop");
    /// ```
    pub const fn new() -> StopServe {
        StopServe(None)
    }

    /// The server ends with this error.
    ///
    /// ```
    /// use std::io;
    ///
    /// use green::convenience::StopServe;
    ///
    /// let listener = green::listen("127.0.0.1:0")?;
    /// let address = listener.local_addr()?;
    /// let server = green::thread::spawn(|| {
    ///     let full = |_, _| Err(StopServe::because(io::ErrorKind::StorageFull.into()));
    ///     green::serve(listener, full, 10)
    /// });
    /// let _client = green::connect(address)?;
    /// let error = server.join().unwrap().unwrap_err();
    /// assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    /// # Ok::<(), io::Error>(())
    /// ```
    pub const fn because(error: io::Error) -> StopServe {
        StopServe(Some(error))
    }

    /// What the server is to return.
    pub(super) fn into_result(self) -> io::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

impl fmt::Display for StopServe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("the server is to stop"),
            Some(error) => write!(f, "the server is to stop: {error}"),
        }
    }
}

impl Error for StopServe {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_ref().map(|error| error as &(dyn Error + 'static))
    }
}

/// What a handler may return: nothing, `io::Result<()>`, or `Result<(), StopServe>`.
///
/// An `io::Error` ends only its own connection: more often than not the peer is the cause, and that is no reason to end
/// a server. It is logged as a warning. Only [`StopServe`] ends the server.
///
/// A closure that uses `?` has to say which it returns: `|stream, _| -> io::Result<()> { … }`.
///
/// ```
/// use std::io;
///
/// use green::convenience::{Outcome, StopServe};
///
/// fn is_what_a_handler_returns(_: impl Outcome) {}
///
/// is_what_a_handler_returns(());
/// is_what_a_handler_returns(Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionReset)));
/// is_what_a_handler_returns(Ok::<(), StopServe>(()));
/// is_what_a_handler_returns(Err::<(), _>(StopServe::new()));
/// ```
#[diagnostic::on_unimplemented(
    message = "a handler of connections cannot return `{Self}`",
    label = "this is what the handler returns",
    note = "a handler returns nothing, `io::Result<()>` (an error ends its connection and is logged), or \
            `Result<(), StopServe>` (an error ends the server)",
    note = "`.map(drop)` leaves another value out, `.map_err(|error| std::io::Error::other(error.to_string()))` makes an `io::Error` of any"
)]
pub trait Outcome: sealed::Sealed {
    #[doc(hidden)]
    fn stop(self) -> Option<StopServe>;
}

impl Outcome for () {
    fn stop(self) -> Option<StopServe> {
        None
    }
}

impl Outcome for io::Result<()> {
    fn stop(self) -> Option<StopServe> {
        if let Err(error) = self {
            log::warn!("a connection failed: {}", one_line(error));
        }
        None
    }
}

impl Outcome for Result<(), StopServe> {
    fn stop(self) -> Option<StopServe> {
        self.err()
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for () {}
    impl Sealed for std::io::Result<()> {}
    impl Sealed for Result<(), super::StopServe> {}
}
