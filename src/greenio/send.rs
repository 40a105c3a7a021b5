//! Sending.
//!
//! Each call but [`send_all`](GreenSocket::send_all) and
//! [`send_whole`](GreenSocket::send_whole) is one system call, retried until it
//! need not wait; a limit covers the call as a whole.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use libc::c_int;
use socket2::{Domain, SockAddr};

use super::unannounced::retry_unannounced;
use super::{ControlWriter, GreenSocket};
use crate::calls;
use crate::deadline::Deadline;
use crate::source::Direction;

/// # Sending
///
/// All of these wait until there is room and then send what fits of a stream, or
/// the whole of a message; only [`send_all`](Self::send_all) and
/// [`send_whole`](Self::send_whole) go on until all is sent. They fail with the errors of `send(2)`: among them
/// [`WouldBlock`](io::ErrorKind::WouldBlock) when the limit of
/// [`set_write_timeout`](Self::set_write_timeout) passes or in non-blocking mode,
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe) (never a signal) and
/// [`ConnectionReset`](io::ErrorKind::ConnectionReset) when the peer has gone,
/// [`Interrupted`](io::ErrorKind::Interrupted) by a signal (as in std), and
/// [`NotConnected`](io::ErrorKind::NotConnected) after [`close`](Self::close).
///
/// The `flags` are those of `send(2)`. `MSG_DONTWAIT` makes the one call
/// non-blocking, and `MSG_NOSIGNAL` is always set.
impl GreenSocket {
    /// Sends from `buf`.
    ///
    /// # Errors
    ///
    /// See [Sending](#sending).
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.send_with_flags(buf, 0)
    }

    /// Sends from `buf` with the flags of `send(2)`.
    ///
    /// # Errors
    ///
    /// See [Sending](#sending).
    pub fn send_with_flags(&self, buf: &[u8], flags: c_int) -> io::Result<usize> {
        self.transmit(None, flags, |fd| calls::send(fd, buf, flags))
    }

    /// Sends from several buffers, one after the other.
    ///
    /// # Errors
    ///
    /// See [Sending](#sending).
    pub fn send_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.sendmsg(bufs, None, &ControlWriter::new(), 0)
    }

    /// Sends `buf` to `address`.
    ///
    /// # Errors
    ///
    /// See [Sending](#sending).
    pub fn send_to(&self, buf: &[u8], address: &SockAddr) -> io::Result<usize> {
        self.send_to_with_flags(buf, address, 0)
    }

    /// Sends `buf` to `address` with the flags of `sendto(2)`.
    ///
    /// # Errors
    ///
    /// See [Sending](#sending).
    pub fn send_to_with_flags(
        &self,
        buf: &[u8],
        address: &SockAddr,
        flags: c_int,
    ) -> io::Result<usize> {
        self.transmit(Some(address), flags, |fd| {
            calls::send_to(fd, buf, address, flags)
        })
    }

    /// Sends one message from several buffers, to `address` if one is given, with
    /// the ancillary data in `control`.
    ///
    /// # Errors
    ///
    /// See [Sending](#sending).
    pub fn sendmsg(
        &self,
        bufs: &[IoSlice<'_>],
        address: Option<&SockAddr>,
        control: &ControlWriter<'_>,
        flags: c_int,
    ) -> io::Result<usize> {
        self.transmit(address, flags, |fd| {
            calls::sendmsg(fd, bufs, address, control.as_bytes(), flags)
        })
    }

    /// Sends all of `buf`, however many sends that takes.
    ///
    /// The limit of [`set_write_timeout`](Self::set_write_timeout) covers the
    /// whole, so a peer that takes a byte now and then cannot stretch it. A
    /// signal does not end the call.
    ///
    /// # Errors
    ///
    /// As [Sending](#sending), with how much was sent before; kind
    /// [`WriteZero`](io::ErrorKind::WriteZero) if the kernel takes nothing.
    pub fn send_all(&self, buf: &[u8]) -> Result<(), SendAllError> {
        self.send_until(buf.len(), |fd, sent| calls::send(fd, &buf[sent..], 0))
    }

    /// Sends all of several buffers, one after the other.
    ///
    /// # Errors
    ///
    /// As [`send_all`](Self::send_all).
    pub fn send_all_vectored(&self, bufs: &[IoSlice<'_>]) -> Result<(), SendAllError> {
        let total = bufs.iter().map(|buf| buf.len()).sum();
        self.send_until(total, |fd, sent| {
            if sent == 0 {
                return calls::sendmsg(fd, bufs, None, &[], 0);
            }
            let mut rest = bufs.to_vec();
            let mut rest = &mut rest[..];
            IoSlice::advance_slices(&mut rest, sent);
            calls::sendmsg(fd, rest, None, &[], 0)
        })
    }

    /// Sends as `send(2)` does on a blocking descriptor: all of `buf`, unless an error or the limit interrupts
    /// it; then it returns how much was sent before, if anything.
    ///
    /// This is for code that was written for blocking sockets, which may not look at the count and would lose
    /// the rest. If a count is returned instead of an error, the next send reports the error.
    ///
    /// # Errors
    ///
    /// As [Sending](#sending), when nothing was sent before.
    pub fn send_whole(&self, buf: &[u8]) -> io::Result<usize> {
        match buf.len() {
            0 => self.send(buf),
            total => self.counted(self.send_all(buf), total),
        }
    }

    /// As [`send_whole`](Self::send_whole), from several buffers, one after the
    /// other; no more of them than `writev(2)` takes.
    ///
    /// # Errors
    ///
    /// As [`send_whole`](Self::send_whole).
    pub fn send_whole_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bufs = &bufs[..bufs.len().min(libc::UIO_MAXIOV as usize)];
        match bufs.iter().map(|buf| buf.len()).sum() {
            0 => self.send_vectored(bufs),
            total => self.counted(self.send_all_vectored(bufs), total),
        }
    }

    fn counted(&self, outcome: Result<(), SendAllError>, total: usize) -> io::Result<usize> {
        match outcome {
            Ok(()) => Ok(total),
            Err(failure) if failure.sent > 0 => {
                self.shared().verdict.owe(&failure.error);
                Ok(failure.sent)
            }
            Err(failure) => Err(failure.error),
        }
    }

    /// Calls `send` with the number of bytes sent so far, until that is `total`.
    fn send_until(
        &self,
        total: usize,
        mut send: impl FnMut(BorrowedFd<'_>, usize) -> io::Result<usize>,
    ) -> Result<(), SendAllError> {
        let deadline = self
            .writing(0)
            .map_err(|error| SendAllError { sent: 0, error })?;
        let mut sent = 0;
        while sent < total {
            match self
                .source()
                .retry(Direction::Write, deadline, |fd| send(fd, sent))
            {
                Ok(0) => {
                    return Err(SendAllError {
                        sent,
                        error: io::ErrorKind::WriteZero.into(),
                    });
                }
                Ok(more) => {
                    sent += more;
                    if sent == total {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let error = self.failed_send(error);
                    return Err(SendAllError { sent, error });
                }
            }
        }
        Ok(())
    }

    /// If the call names a Unix datagram or netlink peer whose queue is full, no event tells when it has room
    /// again.
    fn transmit<T>(
        &self,
        address: Option<&SockAddr>,
        flags: c_int,
        op: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let unannounced = address.is_some_and(|address| {
            [Domain::UNIX, Domain::from(libc::AF_NETLINK)].contains(&address.domain())
        });
        let deadline = self.writing(flags)?;
        let outcome = match unannounced {
            true => retry_unannounced(self.source(), deadline, op),
            false => self.source().retry(Direction::Write, deadline, op),
        };
        outcome.map_err(|error| self.failed_send(error))
    }

    fn writing(&self, flags: c_int) -> io::Result<Deadline> {
        let deadline = self.deadline(Direction::Write)?;
        Ok(match flags & libc::MSG_DONTWAIT {
            0 => deadline,
            _ => Deadline::NOW,
        })
    }
}

/// Why [`GreenSocket::send_all`] failed, and how much it had sent by then.
///
/// `?` turns it into the [`io::Error`] alone.
#[derive(Debug)]
pub struct SendAllError {
    sent: usize,
    error: io::Error,
}

impl SendAllError {
    /// How many bytes of the buffer the kernel had taken.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// The error that ended the sending.
    pub fn error(&self) -> &io::Error {
        &self.error
    }
}

impl fmt::Display for SendAllError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (after {} bytes were sent)", self.error, self.sent)
    }
}

impl std::error::Error for SendAllError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<SendAllError> for io::Error {
    fn from(failure: SendAllError) -> io::Error {
        failure.error
    }
}
