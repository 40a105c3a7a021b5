//! Why one direction of a connection is over: recorded once, answered again on every later call.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::error::SslError;

/// The recorded end of a direction. `io::Error` cannot be cloned, so this keeps what is needed to make it anew.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// The peer's close_notify: a clean end.
    CloseNotify,
    /// The transport ended without one.
    Eof,
    /// The transport ended because we shut it down for reading.
    ShutRead,
    /// The operating system's error code.
    Os(i32),
    /// An error of the transport that is not the operating system's.
    Transport(Arc<io::Error>),
    /// The TLS conversation failed.
    Ssl(SslError),
    /// We closed this direction ourselves.
    ShutDown,
}

impl Verdict {
    pub(crate) fn of_transport(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(code) => Self::Os(code),
            None => Self::Transport(Arc::new(error)),
        }
    }

    pub(crate) fn error(&self) -> io::Error {
        match self {
            Self::CloseNotify => io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the peer has ended the TLS session",
            ),
            Self::Eof => io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection ended without TLS close_notify: data may be missing",
            ),
            Self::ShutRead => io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection was shut down for reading here",
            ),
            Self::Os(code) => io::Error::from_raw_os_error(*code),
            Self::Transport(error) => io::Error::new(error.kind(), Repeated(Arc::clone(error))),
            Self::Ssl(error) => error.clone().into(),
            Self::ShutDown => {
                io::Error::new(io::ErrorKind::BrokenPipe, "TLS close_notify has been sent")
            }
        }
    }
}

/// A transport's error that is answered more than once.
#[derive(Debug)]
struct Repeated(Arc<io::Error>);

impl fmt::Display for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Repeated {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
