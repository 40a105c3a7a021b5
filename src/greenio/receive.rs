//! Receiving.
//!
//! Each call is one system call, retried until it need not wait; a limit covers
//! the call as a whole. The kernel's result is returned as it is, except where it differs between a
//! call that must not block and one that may, and except for a broken stream, which never reads as
//! ended.

use std::io::{self, IoSliceMut};
use std::os::fd::BorrowedFd;

use libc::c_int;
use socket2::SockAddr;

use super::GreenSocket;
use super::ancillary::{self, Received};
use super::socket::Kind;
use crate::calls;
use crate::deadline::Deadline;
use crate::source::Direction;
use crate::sys::socket;

/// # Receiving
///
/// All of these wait until something has arrived, and return what has, not more
/// than the buffer holds; `Ok(0)` for a buffer that is not empty is the end of a
/// stream. They fail with the errors of `recv(2)`: among them
/// [`WouldBlock`](io::ErrorKind::WouldBlock) when the limit of
/// [`set_read_timeout`](Self::set_read_timeout) passes or in non-blocking mode,
/// [`ConnectionReset`](io::ErrorKind::ConnectionReset) (once a stream is broken,
/// for ever: it never reads as ended after that),
/// [`Interrupted`](io::ErrorKind::Interrupted) by a signal (as in std), and
/// [`NotConnected`](io::ErrorKind::NotConnected) after
/// [`close`](Self::close).
///
/// The `flags` are those of `recv(2)`. `MSG_DONTWAIT` makes the one call
/// non-blocking. `MSG_WAITALL` has no effect: a call returns with the first bytes.
impl GreenSocket {
    /// Receives into `buf`.
    ///
    /// # Errors
    ///
    /// See [Receiving](#receiving).
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        if self.shared().kind != Kind::Tcp {
            return self.recv_with_flags(buf, 0);
        }
        let (capacity, deadline) = (buf.len(), self.reading(0)?);
        let outcome = self
            .source()
            .retry_read(deadline, capacity, |fd| calls::recv(fd, buf, 0));
        self.judge(outcome, capacity, deadline)
    }

    /// Receives into `buf` with `flags`.
    ///
    /// # Errors
    ///
    /// See [Receiving](#receiving).
    pub fn recv_with_flags(&self, buf: &mut [u8], flags: c_int) -> io::Result<usize> {
        self.receive(buf.len(), flags, |fd| calls::recv(fd, buf, flags))
    }

    /// Receives into several buffers, filling one after the other.
    ///
    /// # Errors
    ///
    /// See [Receiving](#receiving).
    pub fn recv_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let capacity: usize = bufs.iter().map(|buf| buf.len()).sum();
        let mut recv = |fd: BorrowedFd<'_>| {
            let received = calls::recvmsg(fd, bufs, &mut [], 0)?;
            Ok(received.len)
        };
        match (capacity, self.shared().kind) {
            // As readv(2) has it, which std calls: nothing is asked, so the
            // kernel is not either.
            (0, _) => Ok(0),
            (_, Kind::Tcp) => {
                let deadline = self.reading(0)?;
                let outcome = self.source().retry_read(deadline, capacity, recv);
                self.judge(outcome, capacity, deadline)
            }
            (_, Kind::Stream | Kind::Other) => self.receive(capacity, 0, &mut recv),
        }
    }

    /// Receives into `buf` and tells who sent it.
    ///
    /// # Errors
    ///
    /// See [Receiving](#receiving).
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SockAddr)> {
        self.recv_from_with_flags(buf, 0)
    }

    /// Receives into `buf` with `flags` and tells who sent it.
    ///
    /// # Errors
    ///
    /// See [Receiving](#receiving).
    pub fn recv_from_with_flags(
        &self,
        buf: &mut [u8],
        flags: c_int,
    ) -> io::Result<(usize, SockAddr)> {
        self.receive(buf.len(), flags, |fd| calls::recv_from(fd, buf, flags))
    }

    /// Copies what has arrived into `buf` without taking it.
    ///
    /// # Errors
    ///
    /// See [Receiving](#receiving).
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_with_flags(buf, libc::MSG_PEEK)
    }

    /// Copies what has arrived into `buf` without taking it and tells who sent it.
    ///
    /// # Errors
    ///
    /// See [Receiving](#receiving).
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SockAddr)> {
        self.recv_from_with_flags(buf, libc::MSG_PEEK)
    }

    /// Receives a message with its ancillary data: descriptors, credentials, time
    /// stamps. `control` is room for the latter; see
    /// [`ControlMessages`](super::ControlMessages).
    ///
    /// # Errors
    ///
    /// See [Receiving](#receiving).
    pub fn recvmsg<'control>(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        control: &'control mut [u8],
        flags: c_int,
    ) -> io::Result<Received<'control>> {
        let capacity = bufs.iter().map(|buf| buf.len()).sum();
        let received = self.receive(capacity, flags, |fd| {
            calls::recvmsg(fd, bufs, control, flags)
        })?;
        Ok(ancillary::received(received, control))
    }

    fn receive<T: Got>(
        &self,
        capacity: usize,
        flags: c_int,
        mut op: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let deadline = self.reading(flags)?;
        let outcome = self.source().retry(Direction::Read, deadline, |fd| {
            let outcome = op(fd);
            match &outcome {
                // Of a datagram socket whose reading end was shut down here, a
                // blocking call would read nothing, not wait for ever.
                Err(error) if would_block(error) && deadline != Deadline::NOW => {
                    match self.shared().is_shut_for_reading() {
                        true => Ok(T::nothing()),
                        false => outcome,
                    }
                }
                _ => outcome,
            }
        });
        self.judge(outcome, capacity, deadline)
    }

    fn judge<T: Got>(
        &self,
        outcome: io::Result<T>,
        capacity: usize,
        deadline: Deadline,
    ) -> io::Result<T> {
        match &outcome {
            // Where a stream that broke reads as ended, what broke it.
            Ok(got) if capacity > 0 && got.len() == 0 => self.shared().verdict.at_end()?,
            Ok(_) => {}
            // A blocking call that asks TCP for nothing waits all the same, but
            // is content when its limit passes.
            Err(error) if capacity == 0 && would_block(error) => {
                if self.shared().kind == Kind::Tcp && deadline != Deadline::NOW {
                    return Ok(T::nothing());
                }
            }
            Err(error) => self.note(error),
        }
        outcome
    }

    fn reading(&self, flags: c_int) -> io::Result<Deadline> {
        let deadline = self.deadline(Direction::Read)?;
        Ok(match flags & libc::MSG_DONTWAIT {
            0 => deadline,
            _ => Deadline::NOW,
        })
    }
}

/// What a receiving call returns.
trait Got {
    fn nothing() -> Self;
    fn len(&self) -> usize;
}

impl Got for usize {
    fn nothing() -> usize {
        0
    }

    fn len(&self) -> usize {
        *self
    }
}

impl Got for (usize, SockAddr) {
    fn nothing() -> (usize, SockAddr) {
        (0, socket::no_address())
    }

    fn len(&self) -> usize {
        self.0
    }
}

impl Got for socket::Received {
    fn nothing() -> socket::Received {
        socket::Received {
            len: 0,
            control_len: 0,
            flags: 0,
            address: socket::no_address(),
        }
    }

    fn len(&self) -> usize {
        self.len
    }
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
