//! Streams as hyper reads and writes them.
#![expect(
    unsafe_code,
    reason = "hyper's buffers are advanced over what was initialised"
)]

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use greenhub::future::{Sleep, sleep};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::aio::{Async, PollRead, PollWrite};

/// The most that one read fills with zeros first.
const READ: usize = 64 * 1024;

/// A stream whose writes make headway within a limit, or fail: a peer that reads nothing is cut.
#[derive(Debug)]
pub(super) struct Io<T> {
    stream: Async<T>,
    write_limit: Option<Duration>,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<T: PollRead + PollWrite> Io<T> {
    pub(super) fn new(stream: T, write_limit: Option<Duration>) -> Io<T> {
        Io {
            stream: Async::new(stream),
            write_limit,
            waiting: None,
        }
    }

    pub(super) fn into_inner(self) -> T {
        self.stream.into_inner()
    }

    /// What a write comes to that has just been tried.
    fn within_limit<R>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.waiting = None;
            return polled;
        }
        let Some(limit) = self.write_limit else {
            return Poll::Pending;
        };
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer takes nothing",
        )))
    }
}

impl<T: PollRead> Read for Async<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let most = buf.remaining().min(READ);
        let room = buf.initialize_unfilled_to(most);
        let read = ready!(AsyncRead::poll_read(self, context, room))?;
        assert!(read <= most, "a read fits its buffer");
        // SAFETY: so many bytes were initialised just now.
        unsafe { buf.advance(read) };
        Poll::Ready(Ok(()))
    }
}

impl<T: PollWrite> Write for Async<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(self, context, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write_vectored(self, context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.get_ref().takes_several()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(self, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_close(self, context)
    }
}

impl<T: PollRead + PollWrite> Read for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Read::poll_read(Pin::new(&mut self.stream), context, buf)
    }
}

impl<T: PollRead + PollWrite> Write for Io<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Write::poll_write(Pin::new(&mut self.stream), context, buf);
        self.within_limit(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Write::poll_write_vectored(Pin::new(&mut self.stream), context, bufs);
        self.within_limit(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Write::poll_flush(Pin::new(&mut self.stream), context);
        self.within_limit(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Write::poll_shutdown(Pin::new(&mut self.stream), context);
        self.within_limit(context, polled)
    }
}
