//! The side of a reader where data comes in.

use std::io;
use std::sync::Arc;

use super::{Pausable, StreamReader};
use crate::io::kept_error::KeptError;
use crate::ssl::SslError;

/// # Feeding
///
/// What a protocol does with what comes; for code that feeds a reader of its own.
impl StreamReader {
    /// Adds data. Never waits: a reader without a connection takes any amount. After the end it does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// let reader = green::asyncio::StreamReader::new();
    /// reader.feed_data(b"one\nt");
    /// reader.feed_data(b"wo\n");
    /// assert_eq!(reader.readline()?, b"one\n");
    /// assert_eq!(reader.readline()?, b"two\n");
    /// # Ok::<(), green::asyncio::ReadError>(())
    /// ```
    pub fn feed_data(&self, data: &[u8]) {
        let mut state = self.0.state.lock();
        if data.is_empty() || state.ended {
            return;
        }
        state.buffer.append(data);
        self.pause(&mut state);
        drop(state);
        self.0.more.wake_all();
    }

    /// Ends the stream.
    ///
    /// # Examples
    ///
    /// ```
    /// let reader = green::asyncio::StreamReader::new();
    /// reader.feed_eof();
    /// assert_eq!(reader.read(100)?, b"");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn feed_eof(&self) {
        let mut state = self.0.state.lock();
        // The first end stays.
        state.ended |= state.failure.is_none();
        drop(state);
        self.0.more.wake_all();
    }

    /// Ends the stream with an error: once everything before it has been read, every read returns it. The first end
    /// counts: after [`feed_eof`](StreamReader::feed_eof) only [`exception`](StreamReader::exception) shows the error.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    ///
    /// let reader = green::asyncio::StreamReader::new();
    /// reader.feed_data(b"before");
    /// reader.set_exception(io::ErrorKind::ConnectionAborted.into());
    /// assert!(reader.exception().is_some());
    /// assert_eq!(reader.read(100)?, b"before");
    /// let error = reader.read(100).unwrap_err();
    /// assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn set_exception(&self, error: io::Error) {
        self.fail(keep(error));
    }

    pub(in crate::asyncio::streams) fn fail(&self, failure: KeptError) {
        let mut state = self.0.state.lock();
        let late = match state.failure {
            None => state.failure.replace(failure),
            Some(_) => Some(failure),
        };
        drop(state);
        self.0.more.wake_all();
        // It may be a user's error, so not under the lock.
        drop(late);
    }

    /// Takes what has come and was not read.
    pub(in crate::asyncio::streams) fn take_all(&self) -> Vec<u8> {
        self.take_front(&mut self.0.state.lock(), usize::MAX)
    }

    /// Holds back, from here on, this connection.
    pub(in crate::asyncio::streams) fn set_source(&self, source: Box<dyn Pausable>) {
        let mut state = self.0.state.lock();
        state.paused = false;
        let before = state.source.replace(source);
        self.pause(&mut state);
        drop(state);
        drop(before);
    }
}

/// Keeps an error for all who ask.
pub(in crate::asyncio::streams) fn keep(error: io::Error) -> KeptError {
    match SslError::of(&error).cloned() {
        Some(error) => KeptError::Made(Arc::new(move || error.clone().into())),
        None => KeptError::new(error),
    }
}
