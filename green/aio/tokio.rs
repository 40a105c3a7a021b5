//! tokio's `AsyncRead` and `AsyncWrite`, which need nothing of its runtime.
#![expect(
    unsafe_code,
    reason = "tokio's buffers are filled without being cleared"
)]

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
        // SAFETY: nothing but what was read is written there.
        let room = unsafe { buf.unfilled_mut() };
        let read = ready!(self.poll_read_into(context, room))?.len();
        // SAFETY: so many bytes of it are initialised now.
        unsafe { buf.assume_init(read) };
        buf.advance(read);
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
