//! The verdict on a stream: how it ended, once and for ever.
//!
//! The kernel reports a broken connection to one call only, be it a read, a write
//! or a query of `SO_ERROR`; every later read finds a clean end of the stream,
//! and half a file looks like a whole one. So the first verdict is kept, and where
//! the kernel would report a clean end from then on, the verdict is repeated.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

/// The raw error that broke the stream, or 0. Relaxed: the number says it all.
#[derive(Debug, Default)]
pub(super) struct Verdict(AtomicI32);

impl Verdict {
    /// Notes an error if it is one that breaks a connection.
    ///
    /// `EPIPE` is none: it says that *writing* is over, and the peer may have
    /// ended its own stream cleanly before.
    pub(super) fn note(&self, error: &io::Error) {
        if let Some(
            raw @ (libc::ECONNRESET
            | libc::ECONNABORTED
            | libc::ETIMEDOUT
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::ENETDOWN),
        ) = error.raw_os_error()
        {
            self.0.store(raw, Ordering::Relaxed);
        }
    }

    /// What to return where the kernel reports the end of the stream.
    pub(super) fn at_end(&self) -> io::Result<()> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            raw => Err(io::Error::from_raw_os_error(raw)),
        }
    }

    /// A socket that is connected anew starts anew.
    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
