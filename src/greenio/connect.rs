//! Connecting.
//!
//! A connection attempt is one operation tried until it is decided: `connect(2)`
//! says `EINPROGRESS` when it starts an attempt and `EALREADY` while that runs,
//! and calling it again once the socket is writable yields the outcome itself; at
//! once, if the peer is on this host.
//! No probe of `SO_ERROR` is needed, so no error of the connection can get lost
//! in one.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use socket2::SockAddr;

use super::GreenSocket;
use super::settings::refuse_zero;
use super::unannounced::retry_unannounced;
use crate::calls;
use crate::deadline::Deadline;
use crate::error::ClosedLocally;
use crate::source::Direction;

/// # Connecting
impl GreenSocket {
    /// Connects to `address`, waiting until the connection is made or has failed.
    ///
    /// The limit is that of [`set_write_timeout`](Self::set_write_timeout), as it
    /// is for the kernel. In non-blocking mode the attempt starts and the call returns the raw
    /// error `EINPROGRESS`; a later call returns the outcome.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`, such as
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused);
    /// [`TimedOut`](io::ErrorKind::TimedOut) when the limit passes;
    /// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) when the socket is
    /// shut down meanwhile.
    pub fn connect(&self, address: &SockAddr) -> io::Result<()> {
        let deadline = self.deadline(Direction::Write)?;
        if deadline != Deadline::NOW {
            return self.connect_until(address, deadline);
        }
        self.source()
            .retry(Direction::Write, deadline, |fd| start(fd, address))
            .inspect(|()| self.shared().verdict.clear())
    }

    /// Connects to `address`, waiting no longer than `limit`, also in
    /// non-blocking mode.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a limit of zero.
    pub fn connect_timeout(&self, address: &SockAddr, limit: Duration) -> io::Result<()> {
        refuse_zero(limit)?;
        self.connect_until(address, Deadline::after(limit))
    }

    fn connect_until(&self, address: &SockAddr, deadline: Deadline) -> io::Result<()> {
        let mut started = false;
        // A decided attempt is Ok(outcome), so that whatever error the kernel
        // has for it ends the retrying; Err(EAGAIN) means "not decided yet".
        let decided = if address.is_unix() {
            retry_unannounced(self.source(), deadline, |fd| match start(fd, address) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
                outcome => Ok(outcome),
            })
        } else {
            self.source().retry(Direction::Write, deadline, |fd| {
                attempt(fd, address, &mut started)
            })
        };
        match decided {
            Ok(Ok(())) => {
                self.shared().verdict.clear();
                Ok(())
            }
            // The descriptor may have been taken away under the call.
            Ok(Err(_)) if self.is_closed() => Err(ClosedLocally.into()),
            Ok(Err(error)) => Err(error),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "connection timed out",
            )),
            Err(error) => Err(error),
        }
    }
}

fn start(fd: BorrowedFd<'_>, address: &SockAddr) -> io::Result<()> {
    calls::connect(fd, address)
}

fn attempt(
    fd: BorrowedFd<'_>,
    address: &SockAddr,
    started: &mut bool,
) -> io::Result<io::Result<()>> {
    let mut outcome = start(fd, address);
    if !*started && raw_code(&outcome) == Some(libc::EINPROGRESS) {
        *started = true;
        // A peer on this host has answered by now, and then there is nothing to
        // wait for, nor to register.
        outcome = start(fd, address);
    }
    match raw_code(&outcome) {
        Some(libc::EALREADY) => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
        // Started a second time: a `shutdown` took the first attempt back. Take
        // this one back too.
        Some(libc::EINPROGRESS) => {
            calls::shutdown(fd, std::net::Shutdown::Both).ok();
            Ok(Err(io::Error::from_raw_os_error(libc::ECONNABORTED)))
        }
        _ => Ok(outcome),
    }
}

fn raw_code(outcome: &io::Result<()>) -> Option<i32> {
    outcome.as_ref().err().and_then(io::Error::raw_os_error)
}
