//! The result of a call that never waits.

/// The result of a call on a pipe.
///
/// ```
/// use green::ssl::{Progress, Purpose, SslContext};
///
/// let mut pipe = SslContext::new(Purpose::ServerAuth)?.pipe(Some("example.org"))?;
/// // A client begins, and can do no more before the server answers.
/// assert_eq!(pipe.handshake()?, Progress::WantRead);
/// assert!(pipe.outgoing() > 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress<T> {
    /// Finished, with this.
    Done(T),
    /// Nothing was done: ciphertext from the peer is needed first. Drain `outgoing` before waiting for it.
    WantRead,
    /// Nothing was done: `outgoing` is full and must be drained first.
    WantWrite,
}
