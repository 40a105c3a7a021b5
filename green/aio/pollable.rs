//! Which streams have an async face.
#![cfg_attr(
    feature = "tls",
    expect(unsafe_code, reason = "memory that was cleared is initialised")
)]

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::task::{Context, Poll};

use greenhub::greenio::{GreenPipe, GreenSocket};
use greenhub::source::Poller;

use crate::io::{PipeReader, PipeWriter};
use crate::net::TcpStream;
use crate::os::unix::net::UnixStream;
use crate::process::{ChildStderr, ChildStdin, ChildStdout};
#[cfg(feature = "tls")]
use crate::ssl::GreenSslSocket;

mod sealed {
    pub trait Sealed {}
}
use sealed::Sealed;

/// A stream that an [`Async`](super::Async) can wrap. Implemented only for the streams of this library.
///
/// ```
/// use futures_util::AsyncReadExt;
/// use green::aio::{Async, PollRead, PollWrite, Pollable};
/// use green::os::unix::net::UnixStream;
///
/// /// Both directions of a stream, for two tasks.
/// fn halves<T: PollRead + PollWrite>(
///     stream: T,
/// ) -> (impl futures_util::AsyncRead, impl futures_util::AsyncWrite) {
///     Async::new(stream).split()
/// }
///
/// fn can_be_polled(_: &impl Pollable) {}
///
/// let (stream, _peer) = UnixStream::pair()?;
/// can_be_polled(&stream);
/// let (_reader, _writer) = halves(stream);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Pollable: Sealed {
    #[doc(hidden)]
    fn poller(&self) -> Poller;
}

/// A [`Pollable`] that can be read.
///
/// ```
/// use std::io::{self, Write};
///
/// use futures_util::AsyncReadExt;
/// use green::aio::{Async, PollRead};
///
/// async fn received(stream: impl PollRead) -> io::Result<String> {
///     let mut all = String::new();
///     Async::new(stream).read_to_string(&mut all).await?;
///     Ok(all)
/// }
///
/// let (reader, mut writer) = green::io::pipe()?;
/// writer.write_all(b"by a pipe")?;
/// drop(writer);
/// assert_eq!(green::block_on(received(reader))?, "by a pipe");
/// # Ok::<(), io::Error>(())
/// ```
pub trait PollRead: Pollable {
    #[doc(hidden)]
    fn poll_read(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>>;

    /// As `poll_read`, into memory that need not be initialised; returns the part of it that is now.
    #[doc(hidden)]
    fn poll_read_into<'room>(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        room: &'room mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<&'room mut [u8]>>;
}

/// A [`Pollable`] that can be written.
///
/// ```
/// use std::io::{self, Read};
///
/// use futures_util::AsyncWriteExt;
/// use green::aio::{Async, PollWrite};
///
/// async fn send(stream: impl PollWrite, text: &str) -> io::Result<()> {
///     Async::new(stream).write_all(text.as_bytes()).await
/// }
///
/// let (mut reader, writer) = green::io::pipe()?;
/// green::block_on(send(writer, "by a pipe"))?;
/// let mut received = String::new();
/// reader.read_to_string(&mut received)?;
/// assert_eq!(received, "by a pipe");
/// # Ok::<(), io::Error>(())
/// ```
pub trait PollWrite: Pollable {
    #[doc(hidden)]
    fn poll_write(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>>;

    /// The first buffer that is not empty, unless a stream knows better.
    #[doc(hidden)]
    fn poll_write_vectored(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(poller, context, first.map_or(&[], |buf| buf))
    }

    /// Whether several buffers are better than one.
    #[doc(hidden)]
    fn takes_several(&self) -> bool {
        false
    }

    #[doc(hidden)]
    fn poll_flush(&self, _: &Poller, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    #[doc(hidden)]
    fn poll_close(&self, _: &Poller, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// For sockets: with `AsRef<GreenSocket>`.
macro_rules! sockets {
    ($($stream:ty),+) => {$(
        impl Sealed for $stream {}

        impl Pollable for $stream {
            fn poller(&self) -> Poller {
                socket(self).source().poller()
            }
        }

        impl PollRead for $stream {
            fn poll_read(
                &self,
                poller: &Poller,
                context: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                socket(self).poll_recv(poller, context, buf)
            }

            fn poll_read_into<'room>(
                &self,
                poller: &Poller,
                context: &mut Context<'_>,
                room: &'room mut [MaybeUninit<u8>],
            ) -> Poll<io::Result<&'room mut [u8]>> {
                socket(self).poll_recv_into(poller, context, room)
            }
        }

        impl PollWrite for $stream {
            fn poll_write(
                &self,
                poller: &Poller,
                context: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                socket(self).poll_send(poller, context, buf)
            }

            fn poll_write_vectored(
                &self,
                poller: &Poller,
                context: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                socket(self).poll_send_vectored(poller, context, bufs)
            }

            fn takes_several(&self) -> bool {
                true
            }

            fn poll_close(&self, _: &Poller, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(match socket(self).shutdown(Shutdown::Write) {
                    // The peer was sooner.
                    Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => Ok(()),
                    outcome => outcome,
                })
            }
        }
    )+};
}

sockets!(TcpStream, UnixStream, GreenSocket);

fn socket(stream: &impl AsRef<GreenSocket>) -> &GreenSocket {
    stream.as_ref()
}

/// For ends of pipes: with `AsRef<GreenPipe>`.
macro_rules! pipe_ends {
    ($($stream:ty),+) => {$(
        impl Sealed for $stream {}

        impl Pollable for $stream {
            fn poller(&self) -> Poller {
                AsRef::<GreenPipe>::as_ref(self).poller()
            }
        }
    )+};
}

macro_rules! pipe_readers {
    ($($stream:ty),+) => {$(
        impl PollRead for $stream {
            fn poll_read(
                &self,
                poller: &Poller,
                context: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                AsRef::<GreenPipe>::as_ref(self).poll_read(poller, context, buf)
            }

            fn poll_read_into<'room>(
                &self,
                poller: &Poller,
                context: &mut Context<'_>,
                room: &'room mut [MaybeUninit<u8>],
            ) -> Poll<io::Result<&'room mut [u8]>> {
                AsRef::<GreenPipe>::as_ref(self).poll_read_into(poller, context, room)
            }
        }
    )+};
}

macro_rules! pipe_writers {
    ($($stream:ty),+) => {$(
        impl PollWrite for $stream {
            fn poll_write(
                &self,
                poller: &Poller,
                context: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                AsRef::<GreenPipe>::as_ref(self).poll_write(poller, context, buf)
            }
        }
    )+};
}

pipe_ends!(PipeReader, PipeWriter, ChildStdin, ChildStdout, ChildStderr);
pipe_readers!(PipeReader, ChildStdout, ChildStderr);
pipe_writers!(PipeWriter, ChildStdin);

#[cfg(feature = "tls")]
impl Sealed for GreenSslSocket {}

#[cfg(feature = "tls")]
impl Pollable for GreenSslSocket {
    fn poller(&self) -> Poller {
        self.get_ref().source().poller()
    }
}

#[cfg(feature = "tls")]
fn cleared(room: &mut [MaybeUninit<u8>]) -> &mut [u8] {
    room.fill(MaybeUninit::new(0));
    // SAFETY: all of it was written just now.
    unsafe { room.assume_init_mut() }
}

#[cfg(feature = "tls")]
impl PollRead for GreenSslSocket {
    fn poll_read(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        GreenSslSocket::poll_read(self, poller, context, buf)
    }

    fn poll_read_into<'room>(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        room: &'room mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<&'room mut [u8]>> {
        // The engine takes initialised memory alone. A read is of one record.
        let most = room.len().min(16 * 1024);
        let room = cleared(&mut room[..most]);
        let read = GreenSslSocket::poll_read(self, poller, context, room);
        read.map_ok(|count| &mut room[..count])
    }
}

#[cfg(feature = "tls")]
impl PollWrite for GreenSslSocket {
    fn poll_write(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        GreenSslSocket::poll_write(self, poller, context, buf)
    }

    fn poll_flush(&self, poller: &Poller, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        GreenSslSocket::poll_flush(self, poller, context)
    }

    fn poll_close(&self, poller: &Poller, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        GreenSslSocket::poll_close(self, poller, context)
    }
}
