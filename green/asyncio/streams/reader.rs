//! The reading end of a stream: a buffer that one side feeds and the other reads.

use std::fmt;
use std::io;
use std::sync::Arc;

use greenhub::Deadline;
use greenhub::semaphore::Semaphore;
use greenhub::wait_queue::WaitQueue;
use greenhub::wait_queue::{ShortGuard, ShortLock};
use memchr::memmem;

use super::super::options::DEFAULT_LIMIT;
use super::error::{IncompleteReadError, LimitOverrunError, ReadError};
use crate::io::byte_queue::ByteQueue;
use crate::io::kept_error::KeptError;

mod feed;
mod lines;

pub(super) use feed::keep;
pub use lines::Lines;

/// The bytes that have come from a connection and wait to be read.
///
/// A handle: its clones are the same stream, and its methods may be called from any number of green and OS threads. If
/// several threads read, each gets its whole result before the next begins. A thread that is killed or whose
/// [`timeout`](crate::timeout()) passes while it reads takes nothing away.
///
/// It buffers up to twice its limit; then nothing is received until no more than the limit is left.
///
/// It is also an [`io::Read`], which reads what [`read`](StreamReader::read) would return; where that trait is in
/// scope, call [`read_some`](StreamReader::read_some) instead.
///
/// # Differences from asyncio
///
/// What came before an error is read first, then the error. Several threads may read.
///
/// # Examples
///
/// ```
/// use green::asyncio::StreamReader;
///
/// let reader = StreamReader::new();
/// let feeder = reader.clone();
/// green::thread::spawn(move || {
///     feeder.feed_data(b"first line\nsecond ");
///     feeder.feed_data(b"line\nrest");
///     feeder.feed_eof();
/// });
/// assert_eq!(reader.readline()?, b"first line\n");
/// assert_eq!(reader.readuntil(b"line\n")?, b"second line\n");
/// assert_eq!(reader.readexactly(10).unwrap_err().partial(), Some(&b"rest"[..]));
/// assert!(reader.at_eof());
/// # Ok::<(), green::asyncio::ReadError>(())
/// ```
#[derive(Clone)]
pub struct StreamReader(Arc<Shared>);

struct Shared {
    limit: usize,
    state: ShortLock<State>,
    /// Holds the thread that waits for more.
    more: WaitQueue,
    /// Held by the one thread that reads.
    right: Semaphore,
}

#[derive(Default)]
struct State {
    buffer: ByteQueue,
    ended: bool,
    failure: Option<KeptError>,
    source: Option<Box<dyn Pausable>>,
    paused: bool,
}

/// Where a reader's data comes from. Neither call waits.
pub(super) trait Pausable: Send {
    fn pause_reading(&self);
    fn resume_reading(&self);
}

impl StreamReader {
    /// A reader with a limit of 64 KiB, to be fed by [`feed_data`](StreamReader::feed_data).
    pub fn new() -> StreamReader {
        StreamReader::with_limit(DEFAULT_LIMIT)
    }

    /// A reader with this limit in bytes, at least 1.
    ///
    /// # Examples
    ///
    /// ```
    /// let reader = green::asyncio::StreamReader::with_limit(1024);
    /// assert_eq!(reader.limit(), 1024);
    /// assert_eq!(green::asyncio::StreamReader::new().limit(), 64 * 1024);
    /// ```
    pub fn with_limit(limit: usize) -> StreamReader {
        StreamReader(Arc::new(Shared {
            limit: limit.max(1),
            state: ShortLock::default(),
            more: WaitQueue::new(),
            right: Semaphore::named("asyncio stream's other reader", 1),
        }))
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// Reads up to `max_bytes`: what has come, as soon as anything has. An empty result is the end of the stream.
    ///
    /// # Errors
    ///
    /// What broke the connection, once everything before it is read.
    ///
    /// # Examples
    ///
    /// ```
    /// let reader = green::asyncio::StreamReader::new();
    /// reader.feed_data(b"what has come");
    /// reader.feed_eof();
    /// assert_eq!(reader.read(4)?, b"what");
    /// assert_eq!(reader.read(100)?, b" has come");
    /// assert_eq!(reader.read(100)?, b"");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read(&self, max_bytes: usize) -> io::Result<Vec<u8>> {
        if max_bytes == 0 {
            return Ok(Vec::new());
        }
        let _right = self.take_right();
        let mut state = self.wait_for_any()?;
        Ok(self.take_front(&mut state, max_bytes))
    }

    /// The same as [`read`](StreamReader::read), under another name: where [`io::Read`] is in scope and the reader is
    /// behind a `&mut`, `read` is the trait's method.
    ///
    /// # Errors
    ///
    /// As [`read`](StreamReader::read).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Read;
    ///
    /// use green::asyncio::StreamReader;
    ///
    /// fn first(reader: &mut StreamReader) -> std::io::Result<Vec<u8>> {
    ///     reader.read_some(5)
    /// }
    ///
    /// let mut reader = StreamReader::new();
    /// reader.feed_data(b"first and the rest");
    /// reader.feed_eof();
    /// assert_eq!(first(&mut reader)?, b"first");
    /// let mut rest = String::new();
    /// reader.read_to_string(&mut rest)?;
    /// assert_eq!(rest, " and the rest");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_some(&self, max_bytes: usize) -> io::Result<Vec<u8>> {
        self.read(max_bytes)
    }

    fn read_into(&self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let _right = self.take_right();
        let mut state = self.wait_for_any()?;
        let len = state.buffer.take(into);
        self.resume(&mut state, self.0.limit);
        Ok(len)
    }

    fn wait_for_any(&self) -> io::Result<ShortGuard<'_, State>> {
        let state = self.wait_until(|state| !state.buffer.is_empty() || state.is_over());
        if state.buffer.is_empty() {
            state.check_end()?;
        }
        Ok(state)
    }

    /// Reads everything to the end of the stream, as `read(-1)` does in asyncio. All of it is kept in memory, however
    /// much that is.
    ///
    /// # Errors
    ///
    /// What broke the connection; what came before stays to be read.
    ///
    /// # Examples
    ///
    /// ```
    /// let reader = green::asyncio::StreamReader::new();
    /// let feeder = reader.clone();
    /// green::thread::spawn(move || {
    ///     feeder.feed_data(b"all ");
    ///     feeder.feed_data(b"of it");
    ///     feeder.feed_eof();
    /// });
    /// assert_eq!(reader.read_to_eof()?, b"all of it");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_to_eof(&self) -> io::Result<Vec<u8>> {
        let _right = self.take_right();
        let mut state = self.wait_until(State::is_over);
        state.check_end()?;
        Ok(self.take_front(&mut state, usize::MAX))
    }

    /// Reads exactly `len` bytes, which may be more than the limit.
    ///
    /// # Errors
    ///
    /// [`Incomplete`](ReadError::Incomplete), with what came, if the stream ends first. What broke the connection; what
    /// came before stays to be read.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::StreamReader;
    ///
    /// let reader = StreamReader::new();
    /// reader.feed_data(b"header and a bit");
    /// reader.feed_eof();
    /// assert_eq!(reader.readexactly(6)?, b"header");
    /// let error = reader.readexactly(100).unwrap_err();
    /// assert_eq!(error.partial(), Some(&b" and a bit"[..]));
    /// # Ok::<(), green::asyncio::ReadError>(())
    /// ```
    pub fn readexactly(&self, len: usize) -> Result<Vec<u8>, ReadError> {
        let _right = self.take_right();
        let mut state = self.wait_until(|state| state.buffer.len() >= len || state.is_over());
        if state.buffer.len() >= len {
            return Ok(self.take_front(&mut state, len));
        }
        state.check_end()?;
        let partial = self.take_front(&mut state, len);
        Err(ReadError::Incomplete(IncompleteReadError {
            partial,
            expected: Some(len),
        }))
    }

    /// Reads a line with the newline that ends it; the stream's last line may lack it. An empty result is the end of
    /// the stream.
    ///
    /// # Errors
    ///
    /// [`LimitOverrun`](ReadError::LimitOverrun) if the line is longer than the limit. Then the line, or as much of it
    /// as has come, is dropped, so that the next call goes on after it; [`readuntil`](StreamReader::readuntil) keeps
    /// it. What broke the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::{ReadError, StreamReader};
    ///
    /// let reader = StreamReader::with_limit(10);
    /// reader.feed_data(b"short\nfar too long a line\nlast");
    /// reader.feed_eof();
    /// assert_eq!(reader.readline()?, b"short\n");
    /// assert!(matches!(reader.readline(), Err(ReadError::LimitOverrun(_))));
    /// assert_eq!(reader.readline()?, b"last");
    /// assert_eq!(reader.readline()?, b"");
    /// # Ok::<(), ReadError>(())
    /// ```
    pub fn readline(&self) -> Result<Vec<u8>, ReadError> {
        let _right = self.take_right();
        match self.search(&[b"\n"]) {
            Err(ReadError::Incomplete(error)) => Ok(error.partial),
            Err(ReadError::LimitOverrun(error)) => {
                let mut state = self.0.state.lock();
                let dropped = match error.found {
                    true => error.consumed + 1,
                    false => usize::MAX,
                };
                self.take_front(&mut state, dropped);
                Err(ReadError::LimitOverrun(error))
            }
            outcome => outcome,
        }
    }

    /// Reads up to and including `separator`.
    ///
    /// # Errors
    ///
    /// [`Incomplete`](ReadError::Incomplete), with what came, if the stream ends first.
    /// [`LimitOverrun`](ReadError::LimitOverrun) if more than the limit comes before the separator; it stays to be read.
    /// `InvalidInput` for an empty separator. What broke the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::{ReadError, StreamReader};
    ///
    /// let reader = StreamReader::with_limit(8);
    /// reader.feed_data(b"short;far too long;");
    /// assert_eq!(reader.readuntil(b";")?, b"short;");
    /// let Err(ReadError::LimitOverrun(error)) = reader.readuntil(b";") else { unreachable!() };
    /// assert_eq!(reader.readexactly(error.consumed)?, b"far too long");
    /// assert_eq!(reader.readuntil(b";")?, b";");
    /// # Ok::<(), ReadError>(())
    /// ```
    pub fn readuntil(&self, separator: &[u8]) -> Result<Vec<u8>, ReadError> {
        self.readuntil_any(&[separator])
    }

    /// As [`readuntil`](StreamReader::readuntil), up to the one of `separators` that ends first.
    ///
    /// # Errors
    ///
    /// As [`readuntil`](StreamReader::readuntil); `InvalidInput` also if there are none.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::asyncio::StreamReader;
    ///
    /// let reader = StreamReader::new();
    /// reader.feed_data(b"one\r\ntwo\0");
    /// assert_eq!(reader.readuntil_any(&[b"\r\n", b"\0"])?, b"one\r\n");
    /// assert_eq!(reader.readuntil_any(&[b"\r\n", b"\0"])?, b"two\0");
    /// # Ok::<(), green::asyncio::ReadError>(())
    /// ```
    pub fn readuntil_any(&self, separators: &[&[u8]]) -> Result<Vec<u8>, ReadError> {
        let _right = self.take_right();
        self.search(separators)
    }

    fn search(&self, separators: &[&[u8]]) -> Result<Vec<u8>, ReadError> {
        let longest = separators.iter().map(|separator| separator.len()).max();
        let Some(longest) = longest.filter(|_| separators.iter().all(|s| !s.is_empty())) else {
            let message = "a separator is at least one byte long";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message).into());
        };
        let finders: Vec<_> = separators.iter().map(memmem::Finder::new).collect();
        // How much was there at the last look, and where no separator begins before.
        let (mut seen, mut searched) = (0, 0);
        loop {
            let mut state = self.wait_until(|state| state.buffer.len() > seen || state.is_over());
            let data = state.buffer.as_slice();
            let matches = finders.iter().filter_map(|finder| {
                let start = searched + finder.find(&data[searched..])?;
                Some((start + finder.needle().len(), start))
            });
            let first = matches.min();
            if let Some((end, start)) = first
                && start <= self.0.limit
            {
                return Ok(self.take_front(&mut state, end));
            }
            seen = data.len();
            // The start of one may be at the end, and is looked at again with what comes next.
            searched = (seen + 1).saturating_sub(longest);
            let consumed = first.map_or(searched, |(_, start)| start);
            if consumed > self.0.limit {
                return Err(ReadError::LimitOverrun(LimitOverrunError {
                    consumed,
                    found: first.is_some(),
                }));
            }
            if state.is_over() {
                state.check_end()?;
                let partial = self.take_front(&mut state, usize::MAX);
                return Err(ReadError::Incomplete(IncompleteReadError {
                    partial,
                    expected: None,
                }));
            }
        }
    }

    /// Whether the end of the stream has come and everything before it was read.
    ///
    /// # Examples
    ///
    /// ```
    /// let reader = green::asyncio::StreamReader::new();
    /// reader.feed_data(b"x");
    /// reader.feed_eof();
    /// assert!(!reader.at_eof());
    /// reader.read(1)?;
    /// assert!(reader.at_eof());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn at_eof(&self) -> bool {
        let state = self.0.state.lock();
        state.ended && state.buffer.is_empty()
    }

    /// What broke the connection, if anything did, even if it was not reached by a read yet.
    pub fn exception(&self) -> Option<io::Error> {
        let state = self.0.state.lock();
        state.failure.as_ref().map(KeptError::error)
    }
}

/// # Inside
impl StreamReader {
    fn take_right(&self) -> Right<'_> {
        self.0.right.acquire(Deadline::NEVER);
        Right(&self.0.right)
    }

    /// Waits until `ready` says so, and lets data come meanwhile, however much is there.
    fn wait_until(&self, ready: impl Fn(&State) -> bool) -> ShortGuard<'_, State> {
        loop {
            let mut state = self.0.state.lock();
            if ready(&state) {
                return state;
            }
            self.resume(&mut state, usize::MAX);
            drop(state);
            let still_needed = || {
                let state = self.0.state.lock();
                // What came in between may have paused the connection again.
                !ready(&state) && !state.paused
            };
            self.0
                .more
                .wait("asyncio stream", Deadline::NEVER, still_needed);
        }
    }

    fn take_front(&self, state: &mut State, most: usize) -> Vec<u8> {
        let data = state.buffer.as_slice();
        let data = data[..most.min(data.len())].to_vec();
        state.buffer.consume(data.len());
        self.resume(state, self.0.limit);
        data
    }

    /// Has the connection not read from, if too much is here.
    fn pause(&self, state: &mut State) {
        if !state.paused
            && state.buffer.len() > 2 * self.0.limit
            && let Some(source) = &state.source
        {
            state.paused = true;
            source.pause_reading();
        }
    }

    /// Has the connection read again, if no more than `most` is left here.
    ///
    /// The lock is held, so that pausing and resuming happen in the order in which they are decided.
    fn resume(&self, state: &mut State, most: usize) {
        if state.paused
            && state.buffer.len() <= most
            && let Some(source) = &state.source
        {
            state.paused = false;
            source.resume_reading();
        }
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.ended || self.failure.is_some()
    }

    /// How the stream ended, for readers: in order, or by what broke the connection before it had.
    fn check_end(&self) -> io::Result<()> {
        match &self.failure {
            Some(failure) if !self.ended => Err(failure.error()),
            _ => Ok(()),
        }
    }
}

/// The right to read; given back also by an unwind.
struct Right<'a>(&'a Semaphore);

impl Drop for Right<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Default for StreamReader {
    fn default() -> StreamReader {
        StreamReader::new()
    }
}

impl fmt::Debug for StreamReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        f.debug_struct("StreamReader")
            .field("buffered", &state.buffer.len())
            .field("ended", &state.ended)
            .field("failure", &state.failure)
            .field("paused", &state.paused)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
