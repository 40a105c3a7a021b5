//! Streams as hyper reads and writes them.
#![expect(
    unsafe_code,
    reason = "hyper's buffers are advanced over what was initialised"
)]

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_io::AsyncWrite;
use greenhub::future::{Sleep, sleep};
use greenhub::greenio::GreenSocket;
use hyper::rt::{Read, ReadBufCursor, Write};

use super::framing::{Exchange, Framing};
use super::pace::Leaving;
use super::transport::{Cut, Transport, Unfinished};
use crate::aio::{Async, PollRead, PollWrite};
use crate::net::parting::Lingering;

/// The least and the most that one read asks for.
const LEAST: usize = 1024;
const MOST: usize = 64 * 1024;

/// A write that waits looks so often within its limit whether anything is taken.
const PARTS: u32 = 8;

/// The stream of a connection.
///
/// Writes make headway within a limit, or fail: a peer that reads nothing is cut. A shutdown ends our direction, and then waits
/// for the peer's end, within limits: what it sends without being read would make the kernel send a reset, which can
/// overtake the last answer.
#[derive(Debug)]
pub(super) struct Io<T> {
    /// Until all is sent, and our direction has ended.
    unfinished: Option<Unfinished>,
    input: Input<T>,
    /// Of HTTP/1.
    framing: Option<Framing>,
    /// Of HTTP/2.
    leaving: Option<Box<Leaving>>,
    write_limit: Option<Duration>,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
    exchange: Exchange,
    lingering: Option<Box<Lingering>>,
}

#[derive(Debug)]
struct Input<T> {
    stream: Async<T>,
    /// What was read before, and comes first.
    early: &'static [u8],
    /// How much the next read asks for: more after one that was full.
    wanted: usize,
    /// Whether the peer's end has come.
    ended: bool,
}

impl<T: Transport> Input<T> {
    /// Reads into the beginning of `room`.
    fn poll_fill<'room>(
        &mut self,
        context: &mut Context<'_>,
        room: &'room mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<&'room mut [u8]>> {
        let asked = room.len();
        let polled = match self.early {
            [] => self.stream.poll_read_into(context, room),
            early => {
                let (now, later) = early.split_at(early.len().min(asked));
                self.early = later;
                Poll::Ready(Ok(room[..now.len()].write_copy_of_slice(now)))
            }
        };
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Ok(read)) => {
                let count = read.len();
                self.wanted = match count == asked {
                    true => self.wanted.saturating_mul(4).min(MOST),
                    false => self.wanted.min(count.next_power_of_two()).max(LEAST),
                };
                self.ended |= asked > 0 && count == 0;
            }
            Poll::Ready(Err(_)) => self.ended |= asked > 0,
        }
        polled
    }
}

impl<T: Transport> Io<T> {
    pub(super) fn new(
        stream: T,
        framing: Option<Framing>,
        write_limit: Option<Duration>,
        exchange: Exchange,
        cut: Cut,
    ) -> Io<T> {
        Io {
            unfinished: Some(Unfinished { cut, unsent: false }),
            input: Input {
                stream: Async::new(stream),
                early: &[],
                wanted: LEAST,
                ended: false,
            },
            framing,
            leaving: None,
            write_limit,
            waiting: None,
            exchange,
            lingering: None,
        }
    }

    /// The same, with bytes that were read before.
    pub(super) fn behind(mut self, early: &'static [u8]) -> Io<T> {
        self.input.early = early;
        self
    }

    /// The same, of HTTP/2.
    pub(super) fn leaving(mut self, leaving: Leaving) -> Io<T> {
        self.leaving = Some(Box::new(leaving));
        self
    }

    pub(super) fn socket(&self) -> &GreenSocket {
        self.input.stream.get_ref().socket()
    }

    /// Whether bytes that no event of the socket tells of wait to be read.
    pub(super) fn holds_input(&self) -> bool {
        self.input.stream.get_ref().holds_input()
    }

    pub(super) fn write_limit(&self) -> Option<Duration> {
        self.write_limit
    }

    /// The stream for threads, whose writes end within the limit, and what was read of it and not given to hyper.
    pub(super) fn into_blocking(self) -> io::Result<(T, Vec<u8>)> {
        let stream = self.input.stream.into_inner();
        // The kernel tells of room only once there is much, and a write that gives up takes the rest of it: if that were
        // after the whole limit, it would pass for something that the peer has taken, and the limit began anew.
        let parts = if stream.goes_on() { PARTS } else { 1 };
        let limit = self.write_limit.map(|limit| limit / parts);
        // Zero is refused as an argument; the least there is times out all the same.
        let limit = limit.map(|limit| limit.max(Duration::from_nanos(1)));
        stream.socket().set_write_timeout(limit)?;
        Ok((
            stream,
            self.framing.map(Framing::into_held).unwrap_or_default(),
        ))
    }

    /// What a write comes to that has just been tried.
    fn within_limit<R>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if let Poll::Ready(done) = polled {
            self.waiting = None;
            return Poll::Ready(done.inspect_err(|_| self.cut()));
        }
        let Some(limit) = self.write_limit else {
            return Poll::Pending;
        };
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waiting.as_mut().poll(context));
        self.cut();
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer takes nothing",
        )))
    }

    /// What was to be sent is not.
    fn cut(&self) {
        if let Some(unfinished) = &self.unfinished {
            unfinished.cut.now();
        }
    }

    fn begin_write(&mut self) {
        self.exchange.begin_to_send();
        self.set_unsent(true);
    }

    fn has_left(&mut self, written: &Poll<io::Result<usize>>, bufs: &[IoSlice<'_>]) {
        let (Some(leaving), Poll::Ready(Ok(count))) = (&mut self.leaving, written) else {
            return;
        };
        let mut left = *count;
        for buf in bufs {
            let here = left.min(buf.len());
            leaving.pass(&buf[..here]);
            left -= here;
        }
    }

    fn set_unsent(&mut self, unsent: bool) {
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.unsent = unsent;
        }
        self.exchange.set_unsent(unsent);
    }
}

/// Lets `read` fill a part of hyper's buffer, at most so much, without clearing it first. `read` returns the beginning of
/// what it was lent, as far as that is initialised and holds what was read.
fn fill(
    mut buf: ReadBufCursor<'_>,
    most: usize,
    read: impl FnOnce(&mut [MaybeUninit<u8>]) -> Poll<io::Result<&mut [u8]>>,
) -> Poll<io::Result<()>> {
    // SAFETY: `read` is code of this crate, none of which writes what is not initialised.
    let room = unsafe { buf.as_mut() };
    let most = room.len().min(most);
    let start = room.as_ptr().cast();
    let read = ready!(read(&mut room[..most]))?;
    assert!(read.is_empty() || read.as_ptr() == start && read.len() <= most);
    let count = read.len();
    // SAFETY: so many bytes at the beginning of the buffer are initialised.
    unsafe { buf.advance(count) };
    Poll::Ready(Ok(()))
}

impl<T: PollRead> Read for Async<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        fill(buf, usize::MAX, |room| self.poll_read_into(context, room))
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

impl<T: Transport> Read for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Io { input, framing, .. } = &mut *self;
        let most = input.wanted;
        let Some(framing) = framing else {
            return fill(buf, most, |room| input.poll_fill(context, room));
        };
        if framing.poll_ready(context)?.is_pending() {
            return framing.hold(|room| input.poll_fill(context, room));
        }
        let polled = fill(buf, most, |room| {
            if framing.holds_back() {
                return Poll::Ready(framing.give_back(room));
            }
            let read = ready!(input.poll_fill(context, room))?;
            let passed = framing.pass(read)?;
            Poll::Ready(Ok(&mut read[..passed]))
        });
        framing.read(&polled);
        polled
    }
}

impl<T: Transport> Write for Io<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.begin_write();
        let polled = Write::poll_write(Pin::new(&mut self.input.stream), context, buf);
        self.has_left(&polled, &[IoSlice::new(buf)]);
        self.within_limit(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.begin_write();
        let polled = Write::poll_write_vectored(Pin::new(&mut self.input.stream), context, bufs);
        self.has_left(&polled, bufs);
        self.within_limit(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.input.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Write::poll_flush(Pin::new(&mut self.input.stream), context);
        ready!(self.within_limit(context, polled))?;
        self.set_unsent(false);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            // Nobody waits for a head any more.
            self.set_unsent(true);
            let idle = self.exchange.is_unanswered();
            let polled = Write::poll_shutdown(Pin::new(&mut self.input.stream), context);
            ready!(self.within_limit(context, polled))?;
            self.unfinished = None;
            if idle || self.input.ended {
                return Poll::Ready(Ok(()));
            }
        }
        let Io {
            input, lingering, ..
        } = &mut *self;
        let socket = input.stream.get_ref().socket();
        let lingering = lingering.get_or_insert_with(|| Box::new(Lingering::begin(socket)));
        lingering.poll(socket, context).map(Ok)
    }
}
