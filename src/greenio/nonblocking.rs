//! One try at a time: a socket as `Read` and `Write` that never wait.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use super::GreenSocket;
use crate::calls;

/// A socket, read and written by one call of the kernel each, which fails with
/// `WouldBlock` instead of waiting.
///
/// For layers that keep a lock or a buffer only while the kernel copies, and wait
/// outside, by [`Source::retry`](crate::source::Source::retry). A stream that
/// broke reads as broken for ever, as by [`GreenSocket::recv`].
#[derive(Clone, Copy, Debug)]
pub struct NonBlocking<'socket>(pub &'socket GreenSocket);

impl NonBlocking<'_> {
    /// As a read, into memory that need not be initialised: so many bytes of it are, then.
    pub(super) fn read_into(&self, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        let is_empty = room.is_empty();
        let received = calls::recv_into(self.0.source().fd().as_fd(), room);
        self.judged(received.map(|received| received.len()), is_empty)
    }

    fn judged(&self, outcome: io::Result<usize>, without_room: bool) -> io::Result<usize> {
        match &outcome {
            Ok(0) if !without_room => self.0.shared().verdict.at_end()?,
            Ok(_) => {}
            Err(error) => self.0.note(error),
        }
        outcome
    }
}

impl Read for NonBlocking<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let outcome = calls::recv(self.0.source().fd().as_fd(), buf, libc::MSG_DONTWAIT);
        self.judged(outcome, buf.is_empty())
    }
}

impl Write for NonBlocking<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        calls::send(self.0.source().fd().as_fd(), buf, flags)
            .map_err(|error| self.0.failed_send(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
