//! The loop around EAGAIN, the only one: try, wait, try again.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::{Direction, Source};
use crate::deadline::Deadline;
use crate::error::ClosedLocally;
use crate::hub::wait::give_way;
use crate::wait_queue::{QueueEnd, Wake};

impl Source {
    /// Calls `operation` until it does not return EAGAIN, and waits for readiness between the
    /// tries, until `deadline`.
    ///
    /// EINTR goes to the caller, as std has it for reads and writes.
    ///
    /// # Errors
    ///
    /// What `operation` returns. `WouldBlock` (EAGAIN) if the deadline passed
    /// or is [`NOW`](Deadline::NOW), as std reports an expired SO_RCVTIMEO;
    /// `NotConnected` with [`ClosedLocally`] inside if the source was closed.
    #[inline]
    pub fn retry<T>(
        &self,
        direction: Direction,
        deadline: Deadline,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.retry_until(direction, deadline, operation, |_| false)
    }

    /// As [`retry`](Source::retry) in direction `Read`, for an operation that
    /// reads into `capacity` bytes and returns how many it read.
    #[inline]
    pub fn retry_read(
        &self,
        deadline: Deadline,
        capacity: usize,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let n = self.retry_until(Direction::Read, deadline, operation, |&n| {
            self.tcp_stream && n > 0 && n < capacity
        })?;
        if n == 0 && capacity > 0 && self.is_closed() {
            // Our own shutdown in `close`, seen by a call under way: no end that
            // the peer has sent.
            return Err(ClosedLocally.into());
        }
        Ok(n)
    }

    /// The loop around EAGAIN, and others' turn if there was no wait: also after an error, since its caller may
    /// do the same again.
    #[inline]
    fn retry_until<T>(
        &self,
        direction: Direction,
        deadline: Deadline,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
        exhausts: impl Fn(&T) -> bool,
    ) -> io::Result<T> {
        let mut waited = false;
        let result = self.retry_noting(direction, deadline, operation, exhausts, &mut waited);
        if !waited {
            give_way();
        }
        result
    }

    /// The loop around EAGAIN, the only one. `exhausts` tells whether a result
    /// shows that nothing is left in the direction. It notes whether it has `waited`.
    #[inline(always)]
    fn retry_noting<T>(
        &self,
        direction: Direction,
        deadline: Deadline,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
        exhausts: impl Fn(&T) -> bool,
        waited: &mut bool,
    ) -> io::Result<T> {
        let line = self.lines.line(direction);
        loop {
            if self.is_closed() {
                return Err(ClosedLocally.into());
            }
            let seen = line.look();
            if *waited || deadline == Deadline::NOW || (seen.is_ready() && line.waiters.is_empty())
            {
                match operation(self.fd().as_fd()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        line.exhausted(seen);
                        if deadline == Deadline::NOW {
                            return Err(error);
                        }
                    }
                    // The descriptor may have been taken away under the call.
                    Err(_) if self.is_closed() => return Err(ClosedLocally.into()),
                    result => {
                        if let Ok(value) = &result
                            && exhausts(value)
                            && !seen.is_ending()
                        {
                            line.exhausted(seen);
                        }
                        line.pass_on();
                        return result;
                    }
                }
            }
            // An OS thread's poll(2) may call it ready again and again.
            if *waited && deadline.has_passed() {
                return Err(io::Error::from_raw_os_error(libc::EAGAIN));
            }
            let place = if *waited {
                QueueEnd::Front
            } else {
                QueueEnd::Back
            };
            let woke = self.lines.wait(direction, deadline, place)?;
            *waited = true;
            if woke == Wake::TimedOut {
                return Err(io::Error::from_raw_os_error(libc::EAGAIN));
            }
        }
    }
}
