//! Green sockets, pipes and TLS connections for `async` code: hyper, tokio-postgres and whatever else takes an
//! `AsyncRead`.
//!
//! Needs the feature `async`.
//!
//! [`Async`] wraps a stream of this library. It has futures-io's `AsyncRead` and `AsyncWrite`, with the feature
//! `tokio-io` tokio's traits of these names, and with the feature `http` hyper's `Read` and `Write`. Any executor may
//! poll it: [`block_on`](crate::block_on), `FuturesUnordered`, one on OS threads. There is no second reactor: a poll
//! that finds nothing leaves its waker with the hub that watches the descriptor.
//!
//! Threads and futures may use one connection at the same time, through clones: nothing is lost between them. Timeouts
//! and non-blocking mode of the stream do not apply to futures: drop a future that takes too long, or put it into a
//! [`future::timeout`](crate::future::timeout).
//!
//! A poll never parks and never yields to other green threads. Other calls in your `async fn` may: they hold up only
//! that task.
//!
//! # What needs tokio itself
//!
//! `tokio::net`, `tokio::time` and `tokio::spawn` need a runtime of tokio's and panic without one ("there is no reactor
//! running"). Use a green stream in an [`Async`] and [`future::sleep`](crate::future::sleep) instead. If a crate
//! insists on them, run tokio's runtime on OS threads of its own and wait for it by a channel or
//! [`block_on`](crate::block_on): either side may call the other's wakers.
//!
//! # Examples
//!
//! ```
//! use futures_util::{AsyncReadExt, AsyncWriteExt};
//! use green::aio::Async;
//! use green::os::unix::net::UnixStream;
//!
//! # fn main() -> std::io::Result<()> {
//! let (ours, theirs) = UnixStream::pair()?;
//! let (mut ours, mut theirs) = (Async::new(ours), Async::new(theirs));
//! let (said, heard) = green::block_on(async {
//!     let mut heard = [0; 5];
//!     let said = ours.write_all(b"hello");
//!     futures_util::join!(said, async { theirs.read_exact(&mut heard).await.map(|()| heard) })
//! });
//! said?;
//! assert_eq!(&heard?, b"hello");
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::io::{self, IoSlice};
#[cfg(any(feature = "http", feature = "tokio-io"))]
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use greenhub::source::Poller;

mod pollable;
#[cfg(feature = "tokio-io")]
mod tokio;

pub use self::pollable::{PollRead, PollWrite, Pollable};

/// A stream of this library as an `AsyncRead` and `AsyncWrite`.
///
/// One task may read while another one writes. Two tasks that read at once need a handle each:
/// `Async::new(stream.try_clone()?)`.
///
/// Close (tokio: shutdown) ends the sending direction; for a TLS connection it sends close_notify. For a pipe it does
/// nothing: a pipe ends when its last handle is dropped.
///
/// TLS does its handshake in the first poll. As the trait allows, a write may leave bytes unsent that it has counted,
/// until a flush.
///
/// ```
/// use std::io::Read;
///
/// use futures_util::AsyncWriteExt;
/// use green::aio::Async;
/// use green::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut sender = Async::new(TcpStream::connect(listener.local_addr()?)?);
/// let (mut receiver, _peer) = listener.accept()?;
/// green::block_on(async {
///     sender.write_all(b"from a future").await?;
///     sender.close().await
/// })?;
/// let mut received = String::new();
/// receiver.read_to_string(&mut received)?;
/// assert_eq!(received, "from a future");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Async<T> {
    stream: T,
    reader: Poller,
    writer: Poller,
}

impl<T: Pollable> Async<T> {
    /// Wraps `stream`.
    pub fn new(stream: T) -> Async<T> {
        Async {
            reader: stream.poller(),
            writer: stream.poller(),
            stream,
        }
    }
}

impl<T: PollRead> Async<T> {
    /// Reads into memory that need not be initialised; returns the part of it that is now.
    #[cfg(any(feature = "http", feature = "tokio-io"))]
    pub(crate) fn poll_read_into<'room>(
        &self,
        context: &mut Context<'_>,
        room: &'room mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<&'room mut [u8]>> {
        self.stream.poll_read_into(&self.reader, context, room)
    }
}

impl<T> Async<T> {
    /// The stream, to use it in blocking style or to ask it something.
    pub fn get_ref(&self) -> &T {
        &self.stream
    }

    /// Gives the stream back.
    pub fn into_inner(self) -> T {
        self.stream
    }
}

impl<T: Pollable> From<T> for Async<T> {
    fn from(stream: T) -> Async<T> {
        Async::new(stream)
    }
}

impl<T: fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Async").field(&self.stream).finish()
    }
}

// A stream is never pinned: what is polled is behind a handle.
impl<T> Unpin for Async<T> {}

impl<T: PollRead> AsyncRead for Async<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_read(&self.reader, context, buf)
    }
}

impl<T: PollWrite> AsyncWrite for Async<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(&self.writer, context, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write_vectored(&self.writer, context, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(&self.writer, context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_close(&self.writer, context)
    }
}
