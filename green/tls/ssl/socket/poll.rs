//! The calls of a TLS connection for futures: each is tried, and is pending if it would have to
//! wait.

use std::io;
use std::task::{Context, Poll};

use greenhub::ClosedLocally;
use greenhub::Deadline;
use greenhub::source::Poller;

use super::GreenSslSocket;

impl GreenSslSocket {
    /// Whether what was received has not been read: a poll that has looked at much of it leaves the rest to the next.
    #[cfg(feature = "http")]
    pub(crate) fn holds_input(&self) -> bool {
        let pipe = self.shared.duplex.pipe.lock();
        pipe.holds_input() || pipe.pending() > 0
    }

    pub(crate) fn poll_read(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(poller, context, || {
            if buf.is_empty() {
                return Ok(0);
            }
            self.answer(self.shared.duplex.poll_read(buf))
        })
    }

    /// It may leave ciphertext of the bytes that it counts unsent; a flush sends it.
    pub(crate) fn poll_write(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(poller, context, || match buf.is_empty() {
            true => Ok(0),
            false => self.shared.duplex.write(buf, Deadline::NOW),
        })
    }

    pub(crate) fn poll_flush(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(poller, context, || self.shared.duplex.flush(Deadline::NOW))
    }

    /// Sends close_notify.
    pub(crate) fn poll_close(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(poller, context, || {
            self.shared.duplex.shutdown(Deadline::NOW)
        })
    }

    /// A call after the handshake.
    fn poll<T>(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.get_ref().source().poll_layer(poller, context, || {
            if self.is_closed() {
                return Err(ClosedLocally.into());
            }
            self.unless_closed(self.handshake_until(Deadline::NOW).and_then(|()| call()))
        })
    }
}
