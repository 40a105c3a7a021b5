//! A connection that is reopened when its peer has gone, however it went.
//!
//! A [`Reconnect`] is given a closure that opens the connection, and is then [`run`](Reconnect::run) with closures that
//! use it. Opening and using both have a time limit, so a peer that says nothing is noticed as well as one that hangs
//! up. After an error that [may pass](is_worth_retrying) the connection is dropped, and after a pause another one is
//! opened and the closure called again; any other error, such as a rejected certificate, is returned at once. If a
//! connection may be silent for long, [`Presence`] makes the kernel notice when its peer vanishes.
//!
//! ```
//! use std::io::{self, Read, Write};
//! use std::time::Duration;
//!
//! use green::net::{TcpListener, TcpStream};
//! use green::reconnect::{Presence, Reconnect};
//! use green::thread;
//!
//! # fn main() -> io::Result<()> {
//! // A server that hangs up on its first client, is deaf to the second, and answers the others.
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! thread::spawn(move || {
//!     drop(listener.accept().unwrap());
//!     let deaf = listener.accept().unwrap();
//!     for stream in listener.incoming() {
//!         let Ok(mut stream) = stream else { continue };
//!         thread::spawn(move || {
//!             while stream.read_exact(&mut [0; 5]).is_ok() {
//!                 let _ = stream.write_all(b"fine, thanks");
//!             }
//!         });
//!     }
//!     drop(deaf);
//! });
//!
//! let mut server = Reconnect::new(|| {
//!     let stream = TcpStream::connect(address)?;
//!     Presence::STEADY.apply(&stream)?;
//!     Ok(stream)
//! })
//! .use_limit(Duration::from_millis(200))
//! .pauses(Duration::from_millis(10)..=Duration::from_secs(1))
//! .attempts(100)
//! .on_retry(|attempt, error, pause| println!("attempt {attempt}: {error}; again in {pause:?}"));
//!
//! for _ in 0..2 {
//!     let answer = server.run(|stream| {
//!         stream.write_all(b"well?")?;
//!         let mut answer = [0; 12];
//!         stream.read_exact(&mut answer)?;
//!         Ok(answer)
//!     })?;
//!     assert_eq!(&answer, b"fine, thanks");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # A peer that hangs up in order
//!
//! To `read`, `read_line` and `read_to_end` an end in order is no error: they return 0, or what there was. So a closure
//! that returns what they gave has succeeded, and its connection, at its end, is kept for the next one. A closure that
//! expected more says so by an error, as `read_exact` does: then another connection is opened.
//!
//! ```
//! use std::io::{self, BufRead, BufReader, ErrorKind, Write};
//! use std::time::Duration;
//!
//! use green::net::{TcpListener, TcpStream};
//! use green::reconnect::Reconnect;
//! use green::thread;
//!
//! # fn main() -> io::Result<()> {
//! // A server that hangs up on its first client without a word.
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! thread::spawn(move || -> io::Result<()> {
//!     drop(listener.accept()?);
//!     listener.accept()?.0.write_all(b"220 ready\n")
//! });
//!
//! let open = || TcpStream::connect(address).map(BufReader::new);
//! let mut server =
//!     Reconnect::new(open).pauses(Duration::from_millis(1)..=Duration::from_secs(1));
//! let greeting = server.run(|stream| {
//!     let mut line = String::new();
//!     match stream.read_line(&mut line)? {
//!         0 => Err(ErrorKind::UnexpectedEof.into()),
//!         _ => Ok(line),
//!     }
//! })?;
//! assert_eq!(greeting, "220 ready\n");
//! # Ok(())
//! # }
//! ```
//!
//! # TLS
//!
//! The connection is whatever the closure opens: for TLS,
//! [`SslContext::connect`](crate::ssl::SslContext::connect) after the connect of TCP, handshake included.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use greenhub::green_thread::sleep;
use greenhub::{Deadline, Elapsed, timeout};

pub use classify::is_worth_retrying;
pub use gave_up::GaveUp;
pub use presence::Presence;

mod classify;
mod gave_up;
mod presence;
#[cfg(test)]
mod tests;

type Open<'a, C> = Box<dyn FnMut() -> io::Result<C> + Send + 'a>;
type OnOpen<'a, C> = Box<dyn FnMut(&mut C) + Send + 'a>;
type OnRetry<'a> = Box<dyn FnMut(u32, &io::Error, Duration) + Send + 'a>;
type RetryIf<'a> = Box<dyn Fn(&io::Error) -> bool + Send + 'a>;

/// A connection, and how to open another one. The [module](self) has an example.
///
/// ```
/// use std::io::{Read, Write};
/// use std::time::Duration;
///
/// use green::net::{TcpListener, TcpStream};
/// use green::reconnect::Reconnect;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// green::thread::spawn(move || {
///     // The first client is sent away.
///     drop(listener.accept().unwrap());
///     listener.accept().unwrap().0.write_all(b"welcome").unwrap();
/// });
///
/// let mut server = Reconnect::new(|| TcpStream::connect(address))
///     .pauses(Duration::from_millis(1)..=Duration::from_millis(10));
/// let welcome = server.run(|stream| {
///     let mut welcome = [0; 7];
///     stream.read_exact(&mut welcome)?;
///     Ok(welcome)
/// })?;
/// assert_eq!(&welcome, b"welcome");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Reconnect<'a, C> {
    connection: Option<C>,
    open: Open<'a, C>,
    open_limit: Duration,
    use_limit: Option<Duration>,
    pauses: RangeInclusive<Duration>,
    attempts_max: Option<u32>,
    total_limit: Option<Duration>,
    steady_after: Duration,
    retry_if: RetryIf<'a>,
    on_open: OnOpen<'a, C>,
    on_retry: OnRetry<'a>,
}

/// The attempts since things were last well.
struct Series {
    /// When there is no more trying.
    deadline: Deadline,
    failures: u32,
    pauses: ExponentialBackoff,
}

impl<'a, C> Reconnect<'a, C> {
    /// A connection that `open` will open, when first used. The other methods that return a `Reconnect` change its settings.
    pub fn new(open: impl FnMut() -> io::Result<C> + Send + 'a) -> Self {
        Self {
            connection: None,
            open: Box::new(open),
            open_limit: Duration::from_secs(30),
            use_limit: Some(Duration::from_secs(30)),
            pauses: Duration::from_millis(100)..=Duration::from_secs(10),
            attempts_max: Some(10),
            total_limit: None,
            steady_after: Duration::from_secs(60),
            retry_if: Box::new(is_worth_retrying),
            on_open: Box::new(|_| ()),
            on_retry: Box::new(|_, _, _| ()),
        }
    }

    /// The longest that opening may take, name look-up and handshake included (30 s).
    pub fn open_limit(mut self, limit: Duration) -> Self {
        self.open_limit = limit;
        self
    }

    /// The longest that one use may take (30 s). `None` is for uses that limit their waits themselves, by read timeouts
    /// or [`Presence`]; without either, a peer that falls silent makes them wait for ever.
    pub fn use_limit(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.use_limit = limit.into();
        self
    }

    /// The first pause and the longest (100 ms, 10 s). Each is twice as long as the one before. Every pause is
    /// shortened at random, by up to a half, so that the clients of a server that comes back do not all come at once.
    pub fn pauses(mut self, range: RangeInclusive<Duration>) -> Self {
        self.pauses = range;
        self
    }

    /// How often to try, the first time included (10). `None`: without end.
    pub fn attempts(mut self, most: impl Into<Option<u32>>) -> Self {
        self.attempts_max = most.into();
        self
    }

    /// How long to go on trying (`None`: as long as there are [attempts](Self::attempts)). No pause begins that would
    /// outlast it, and opening is cut short by it; a use is not, but by [its own limit](Self::use_limit).
    pub fn total_limit(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.total_limit = limit.into();
        self
    }

    /// A use that lasted this long (60 s) before it failed counts as a success: attempts, total time and pauses then
    /// begin anew. One that was ended by [`use_limit`](Self::use_limit) does not. Choose a time above the read timeouts
    /// in use; otherwise a peer that accepts connections but never answers is tried without end.
    pub fn steady_after(mut self, time: Duration) -> Self {
        self.steady_after = time;
        self
    }

    /// Decides which errors are tried again, in place of [`is_worth_retrying`].
    ///
    /// ```
    /// use std::io::{Error, ErrorKind};
    ///
    /// use green::reconnect::{Reconnect, is_worth_retrying};
    ///
    /// let mut server = Reconnect::new(|| Err::<(), _>(Error::from(ErrorKind::ConnectionRefused)))
    ///     .retry_if(|error| error.kind() != ErrorKind::ConnectionRefused && is_worth_retrying(error));
    /// assert!(server.run(|()| Ok(())).unwrap_err().is_permanent());
    /// ```
    pub fn retry_if(mut self, judge: impl Fn(&io::Error) -> bool + Send + 'a) -> Self {
        self.retry_if = Box::new(judge);
        self
    }

    /// Is called with every connection that was opened, before its first use.
    pub fn on_open(mut self, hook: impl FnMut(&mut C) + Send + 'a) -> Self {
        self.on_open = Box::new(hook);
        self
    }

    /// Is called before every pause, with the number of the attempt that failed, counted from 1, with its error, and
    /// with the length of the pause. A limit's error says which: `opening took longer than 2.0s`, `the use took longer than 1.0s`.
    pub fn on_retry(mut self, hook: impl FnMut(u32, &io::Error, Duration) + Send + 'a) -> Self {
        self.on_retry = Box::new(hook);
        self
    }

    /// Calls `work` with the connection, and again with a new one whenever it failed for a reason that may pass.
    ///
    /// The connection is kept for the next call if `work` succeeded, and dropped if not, also when it ends by a panic,
    /// by an outer [`timeout`](crate::timeout()) or by [`kill`](crate::thread::JoinHandle::kill).
    ///
    /// What `work` sent before it failed may have reached the peer, so it should do only what may be done twice.
    ///
    /// A peer that has hung up in order is no error to `read` and `read_line`, which return 0: a `work` that expected
    /// more returns `Err(ErrorKind::UnexpectedEof.into())`, or it counts as having succeeded. The [module](self) has an example.
    ///
    /// # Errors
    ///
    /// [`GaveUp`], with the last error. With `?` in a function that returns `io::Result` it becomes that error.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    ///
    /// use green::net::{TcpListener, TcpStream};
    /// use green::reconnect::Reconnect;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// // Nobody listens there any more.
    /// let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    /// let mut server = Reconnect::new(|| TcpStream::connect(address))
    ///     .pauses(Duration::from_millis(1)..=Duration::from_millis(10))
    ///     .attempts(3);
    /// let gave_up = server.run(|_| Ok(())).unwrap_err();
    /// assert_eq!(gave_up.attempts(), 3);
    /// assert!(!gave_up.is_permanent());
    /// assert_eq!(gave_up.error().kind(), ErrorKind::ConnectionRefused);
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<T>(&mut self, mut work: impl FnMut(&mut C) -> io::Result<T>) -> Result<T, GaveUp> {
        let mut series = self.series();
        loop {
            let error = match self.attempt(&mut series, &mut work) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            series.failures += 1;
            let permanent = !(self.retry_if)(&error);
            match self.next_pause(&mut series) {
                Some(pause) if !permanent => {
                    (self.on_retry)(series.failures, &error, pause);
                    sleep(pause);
                }
                _ => return Err(GaveUp::new(series.failures, permanent, error)),
            }
        }
    }

    /// Drops the connection, if there is one; the next use opens another.
    pub fn close(&mut self) {
        self.connection = None;
    }

    /// Opens, unless there is a connection, and uses.
    fn attempt<T>(
        &mut self,
        series: &mut Series,
        work: &mut impl FnMut(&mut C) -> io::Result<T>,
    ) -> io::Result<T> {
        // Out of its place while in use, so that it is gone unless the use ends well.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.open(series)?,
        };
        let began = Instant::now();
        let result = match self.use_limit {
            Some(limit) => {
                timeout(limit, || work(&mut connection)).map_err(outlasted("the use", limit))
            }
            None => Ok(work(&mut connection)),
        };
        match result {
            Ok(Ok(value)) => {
                self.connection = Some(connection);
                Ok(value)
            }
            Ok(Err(error)) => {
                if began.elapsed() >= self.steady_after {
                    *series = self.series();
                }
                Err(error)
            }
            Err(outlasted) => Err(outlasted),
        }
    }

    fn open(&mut self, series: &Series) -> io::Result<C> {
        let left = series.deadline.remaining().unwrap_or(Duration::MAX);
        let limit = self.open_limit.min(left);
        let mut connection =
            timeout(limit, &mut self.open).map_err(outlasted("opening", limit))??;
        (self.on_open)(&mut connection);
        Ok(connection)
    }

    fn series(&self) -> Series {
        /// Keeps the arithmetic on durations far from its limits.
        const PAUSE_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        let longest = (*self.pauses.end()).min(PAUSE_MAX);
        let first = (*self.pauses.start()).min(longest);
        // The jitter adds up to as much again.
        let pauses = ExponentialBuilder::new()
            .with_min_delay(first / 2)
            .with_max_delay(longest / 2)
            .without_max_times()
            .with_jitter();
        Series {
            deadline: Deadline::within(self.total_limit),
            failures: 0,
            pauses: pauses.build(),
        }
    }

    /// The pause before the next attempt, unless there shall be none.
    fn next_pause(&self, series: &mut Series) -> Option<Duration> {
        if self
            .attempts_max
            .is_some_and(|most| series.failures >= most)
        {
            return None;
        }
        let pause = series.pauses.next()?;
        match series.deadline.remaining() {
            Some(left) if pause >= left => None,
            _ => Some(pause),
        }
    }
}

/// Says which limit has passed; or that there can be none in this program.
fn outlasted(what: &str, limit: Duration) -> impl FnOnce(Elapsed) -> io::Error {
    move |elapsed| match elapsed.is_refused() {
        true => elapsed.into(),
        false => io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{what} took longer than {limit:.1?}"),
        ),
    }
}

impl<C> fmt::Debug for Reconnect<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("is_open", &self.connection.is_some())
            .field("open_limit", &self.open_limit)
            .field("use_limit", &self.use_limit)
            .field("pauses", &self.pauses)
            .field("attempts", &self.attempts_max)
            .field("total_limit", &self.total_limit)
            .field("steady_after", &self.steady_after)
            .finish_non_exhaustive()
    }
}
