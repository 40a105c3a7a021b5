//! Why one direction of a connection is over: recorded once, and returned by every later call.

use std::io;

use super::error::SslError;
use crate::io::kept_error::KeptError;

/// The recorded end of a direction.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The peer's close_notify: a clean end.
    CloseNotify,
    /// The transport ended without one.
    Eof,
    /// The transport ended because we shut it down for reading.
    ShutRead,
    /// The transport failed.
    Transport(KeptError),
    /// The TLS conversation failed.
    Ssl(SslError),
    /// We closed this direction ourselves.
    ShutDown,
}

impl End {
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
            Self::Transport(error) => error.error(),
            Self::Ssl(error) => error.clone().into(),
            Self::ShutDown => {
                io::Error::new(io::ErrorKind::BrokenPipe, "TLS close_notify has been sent")
            }
        }
    }
}

/// Whether the peer left without a close_notify.
pub(crate) fn is_departure(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}
