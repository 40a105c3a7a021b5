//! The verdict on a stream: how it ended, once and for ever.
//!
//! The kernel reports a broken connection to one call only, be it a read, a write
//! or a query of `SO_ERROR`; every later read finds a clean end of the stream,
//! and half a file looks like a whole one. So the first verdict is kept, and where
//! the kernel would report a clean end from then on, the verdict is repeated.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// What broke the stream, as far as we have seen. Relaxed: each word says all that it means.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// The raw error, or 0.
    raw: AtomicI32,
    /// It came while a call had sent a part of its data and reported that instead.
    /// The kernel, which has told it once, reports `EPIPE` to the next send.
    owed: AtomicBool,
}

impl Verdict {
    /// Notes an error if it is one that breaks a connection.
    pub(super) fn note(&self, error: &io::Error) {
        if let Some(raw) = breaking(error) {
            self.raw.store(raw, Ordering::Relaxed);
        }
    }

    /// As [`note`](Self::note), for an error that a send does not report to its caller.
    pub(super) fn owe(&self, error: &io::Error) {
        self.note(error);
        if breaking(error).is_some() {
            self.owed.store(true, Ordering::Relaxed);
        }
    }

    /// What to report where sending failed with `error`.
    pub(super) fn of_send(&self, error: io::Error) -> io::Error {
        self.note(&error);
        match error.raw_os_error() {
            Some(libc::EPIPE) => self.pay().unwrap_or(error),
            _ => error,
        }
    }

    /// Takes the error that is still to be reported.
    pub(super) fn pay(&self) -> Option<io::Error> {
        let owed = self.owed.swap(false, Ordering::Relaxed);
        owed.then(|| io::Error::from_raw_os_error(self.raw.load(Ordering::Relaxed)))
    }

    /// What to return where the kernel reports the end of the stream.
    pub(super) fn at_end(&self) -> io::Result<()> {
        match self.raw.load(Ordering::Relaxed) {
            0 => Ok(()),
            raw => {
                self.owed.store(false, Ordering::Relaxed);
                Err(io::Error::from_raw_os_error(raw))
            }
        }
    }

    /// A socket that is connected anew starts anew.
    pub(super) fn clear(&self) {
        self.raw.store(0, Ordering::Relaxed);
        self.owed.store(false, Ordering::Relaxed);
    }
}

/// The raw code of an error that breaks a connection.
///
/// `EPIPE` is none: it says that *writing* is over, and the peer may have ended
/// its own stream cleanly before.
fn breaking(error: &io::Error) -> Option<i32> {
    error.raw_os_error().filter(|raw| {
        matches!(
            *raw,
            libc::ECONNRESET
                | libc::ECONNABORTED
                | libc::ETIMEDOUT
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::ENETDOWN
        )
    })
}
