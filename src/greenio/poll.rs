//! The calls of sockets and pipes for futures: each is tried, and is pending if it would have to wait.
//!
//! Limits and non-blocking mode of the socket do not apply here: a future is dropped when it has taken
//! too long.
//!
//! # Safety
//!
//! A call into memory that is not initialised says how many of its first bytes are now.
#![expect(unsafe_code, reason = "memory that the kernel has initialised")]

use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use super::{GreenPipe, GreenSocket, NonBlocking};
use crate::calls;
use crate::source::{Direction, Poller};
use crate::sys::{pipe, socket};

/// # For futures
///
/// Each of these is one system call, if the socket is known to be ready. Where it would wait it is pending, and the
/// task of the context is woken when it is to try again. See [`Source::poll`](crate::source::Source::poll).
impl GreenSocket {
    /// Receives into `buf`.
    ///
    /// # Errors
    ///
    /// See [Receiving](#receiving).
    pub fn poll_recv(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.source()
            .poll_read(poller, buf.len(), context, |_| NonBlocking(self).read(buf))
    }

    /// As [`poll_recv`](GreenSocket::poll_recv), into memory that need not be initialised; returns the part of it that
    /// is now, which is what was received.
    ///
    /// # Errors
    ///
    /// See [Receiving](#receiving).
    pub fn poll_recv_into<'room>(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        room: &'room mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<&'room mut [u8]>> {
        let received = self.source().poll_read(poller, room.len(), context, |_| {
            NonBlocking(self).read_into(room)
        });
        // SAFETY: of what was received just now (module, # Safety).
        received.map_ok(|count| unsafe { room[..count].assume_init_mut() })
    }

    /// As [`poll_recv`](GreenSocket::poll_recv), but what is received stays to be received.
    ///
    /// # Errors
    ///
    /// See [Receiving](#receiving).
    pub fn poll_peek(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.source().poll(poller, Direction::Read, context, |fd| {
            calls::recv(fd, buf, libc::MSG_PEEK | libc::MSG_DONTWAIT)
        })
    }

    /// Sends from `buf`, as much of it as the kernel takes.
    ///
    /// # Errors
    ///
    /// See [Sending](#sending).
    pub fn poll_send(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.source().poll(poller, Direction::Write, context, |_| {
            NonBlocking(self).write(buf)
        })
    }

    /// Sends from several buffers, one after the other, as much as the kernel takes.
    ///
    /// # Errors
    ///
    /// See [Sending](#sending).
    pub fn poll_send_vectored(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        /// To send two pieces costs the kernel more than to copy so many bytes.
        const COPIED: usize = 1024;
        let total: usize = bufs.iter().map(|buf| buf.len()).sum();
        if total <= COPIED {
            let mut joined = [MaybeUninit::uninit(); COPIED];
            let mut rest = &mut joined[..];
            for buf in bufs {
                let (here, after) = rest.split_at_mut(buf.len());
                here.write_copy_of_slice(buf);
                rest = after;
            }
            // SAFETY: so many bytes were written just now.
            let joined = unsafe { joined[..total].assume_init_ref() };
            return self.poll_send(poller, context, joined);
        }
        let bufs = &bufs[..bufs.len().min(libc::UIO_MAXIOV as usize)];
        self.source().poll(poller, Direction::Write, context, |fd| {
            socket::sendmsg(fd, bufs, None, &[], libc::MSG_DONTWAIT)
                .map_err(|error| self.failed_send(error))
        })
    }
}

/// # For futures
///
/// As those of [`GreenSocket`].
impl GreenPipe {
    /// A new poller for this end.
    pub fn poller(&self) -> Poller {
        self.source().poller()
    }

    /// Reads what there is.
    ///
    /// # Errors
    ///
    /// See [`GreenPipe`].
    pub fn poll_read(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.source().poll(poller, Direction::Read, context, |fd| {
            pipe::read(fd.as_fd(), buf)
        })
    }

    /// Reads what there is into memory that need not be initialised; returns the part of it that is now.
    ///
    /// # Errors
    ///
    /// See [`GreenPipe`].
    pub fn poll_read_into<'room>(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        room: &'room mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<&'room mut [u8]>> {
        let read = self.source().poll(poller, Direction::Read, context, |fd| {
            pipe::read_into(fd.as_fd(), room)
        });
        // SAFETY: of what was read just now (module, # Safety).
        read.map_ok(|count| unsafe { room[..count].assume_init_mut() })
    }

    /// Writes as much as the pipe takes.
    ///
    /// # Errors
    ///
    /// See [`GreenPipe`].
    pub fn poll_write(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.source().poll(poller, Direction::Write, context, |fd| {
            pipe::write(fd.as_fd(), buf)
        })
    }
}
