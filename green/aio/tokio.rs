//! tokio's `AsyncRead` and `AsyncWrite`, which need nothing of its runtime.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Async, PollRead, PollWrite};

impl<T: PollRead> AsyncRead for Async<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self
            .stream
            .poll_read(&self.reader, context, buf.initialize_unfilled());
        buf.advance(ready!(read)?);
        Poll::Ready(Ok(()))
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

    fn is_write_vectored(&self) -> bool {
        self.stream.takes_several()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(&self.writer, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_close(&self.writer, context)
    }
}
