//! A descriptor that threads wait for: its readiness in each direction, its waiters, its end.
//!
//! # Readiness
//!
//! A descriptor is registered once, edge-triggered, with the hub of the first
//! green thread that has to wait for it. What an edge said is remembered in a
//! `line` per direction until a call finds nothing left, so a call is tried
//! first and most calls never see the hub.
//!
//! # Who is served
//!
//! An edge wakes the first waiter of its direction. When the call of a thread that was woken has returned and the
//! direction is still ready, it wakes the next waiter; if its call found nothing, it waits at the front of the
//! queue again. A newcomer queues behind those who wait. So any number of threads may read one descriptor, each is
//! served in its turn, and none is woken in vain.
//!
//! *Invariant*: if a line is ready and its queue is not empty, a thread that was woken, or the delivery of an
//! edge, is about to wake the next waiter.
//!
//! # Futures
//!
//! A future [polls](Source::poll), and leaves its waker in the line. An edge wakes the first waiter and also every
//! waker, and keeps none: a future that was woken may be dropped, and then would not wake the next one.
//!
//! # Closing
//!
//! [`close`](Source::close) marks the source as closed, wakes every waiter, deregisters, and then releases the
//! open file, while the number stays taken until the last owner is gone. So a call under way on another thread can
//! never hit another descriptor under the number that it knows.

use std::fmt;
use std::io;
use std::mem;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::direction::poll_now;
use crate::error::ClosedLocally;
use crate::hub::wait::give_way;
use crate::sys::fd;
use crate::wait_queue::{QueueEnd, Wake};

mod closing;
mod line;
mod lines;
mod poll;
mod retry;
mod wakers;

use self::closing::Closing;
use self::lines::Lines;
pub use self::poll::Poller;
pub use crate::direction::Direction;

/// A non-blocking descriptor that green threads and OS threads can wait for.
///
/// Dropping it deregisters and closes the descriptor, without waiting: a socket
/// that lingers (`SO_LINGER`) does so in the background.
pub struct Source {
    // Before `fd`: it is deregistered first, and closed last.
    lines: Registered,
    closing: Closing,
    fd: OwnedFd,
    /// Whether a short read means that the buffer is empty.
    tcp_stream: bool,
}

// A panic leaves no source half-changed: its state is the kernel's and a few
// atomics. So what is made of one keeps its unwind safety, as std's have it.
impl UnwindSafe for Source {}
impl RefUnwindSafe for Source {}

impl Source {
    /// Takes `fd`, which must be in non-blocking mode (O_NONBLOCK): otherwise a call would block the hub.
    pub fn new(fd: OwnedFd) -> Source {
        Source {
            lines: Registered(Lines::ready(fd.as_raw_fd())),
            closing: Closing::of(fd.as_raw_fd()),
            fd,
            tcp_stream: false,
        }
    }

    /// As [`new`](Source::new), for a TCP connection: there a read that does
    /// not fill its buffer has emptied the kernel's (epoll(7), question 9), so
    /// the next one waits without asking the kernel first.
    ///
    /// Not for other streams: a Unix socket ends a read early where the
    /// sender's credentials change.
    pub fn new_tcp_stream(fd: OwnedFd) -> Source {
        Source {
            tcp_stream: true,
            ..Source::new(fd)
        }
    }

    /// Gives the descriptor back, deregistered, still in non-blocking mode.
    pub fn into_fd(self) -> OwnedFd {
        let Source {
            lines, closing, fd, ..
        } = self;
        drop(lines);
        // It is not closed.
        mem::forget(closing);
        fd
    }

    /// Parks the running thread until the direction is ready or `deadline`
    /// passes; `Ok(false)` is the latter. Ready means that a call is worth a try, which is so also when the peer
    /// is gone.
    ///
    /// # Errors
    ///
    /// `NotConnected` with [`ClosedLocally`] inside if the source is or gets
    /// closed; what epoll_ctl(2) or eventfd(2) say at the first wait.
    pub fn wait(&self, direction: Direction, deadline: Deadline) -> io::Result<bool> {
        let line = self.lines.line(direction);
        if self.is_closed() {
            give_way();
            return Err(ClosedLocally.into());
        }
        // What is remembered may be out of date: ask whether it is ready now.
        let seen = line.look();
        let polled = poll_now(self.fd.as_raw_fd(), direction);
        if !matches!(polled, Ok(false)) {
            give_way();
            return match self.is_closed() {
                // It was what made it ready, or came while others ran.
                true => Err(ClosedLocally.into()),
                false => polled,
            };
        }
        line.exhausted(seen);
        let woke = self.lines.wait(direction, deadline, QueueEnd::Back)?;
        if self.is_closed() {
            return Err(ClosedLocally.into());
        }
        line.pass_on();
        Ok(woke != Wake::TimedOut)
    }

    /// Makes the thread that waits in `direction` try its operation again, or, if none waits, the next one that
    /// would: because something has changed that the kernel reports no event for, such as a flag that the
    /// operation looks at.
    pub fn nudge(&self, direction: Direction) {
        self.lines.line(direction).edge(false);
    }

    /// As [`wait`](Source::wait), but until either direction is ready: for a layer that has something to send and
    /// something to receive, neither of which must wait for the other. The caller then tries both.
    ///
    /// # Errors
    ///
    /// As [`wait`](Source::wait).
    pub fn wait_either(&self, deadline: Deadline) -> io::Result<bool> {
        let woke = self.lines.wait_either(deadline)?;
        if woke == Wake::NotNeeded {
            give_way();
        }
        if self.is_closed() {
            return Err(ClosedLocally.into());
        }
        Ok(woke != Wake::TimedOut)
    }

    /// Ends every present and later wait on it with [`ClosedLocally`], shuts a socket down in both directions, so
    /// that the peer notices even if others hold a duplicate, and closes the open file. Does not wait: a socket
    /// that lingers does so in the background.
    ///
    /// The number of the descriptor stays taken until the source is dropped.
    pub fn close(&self) {
        drop(self.close_but_linger());
    }

    /// As [`close`](Source::close), but gives out the open file of a socket that is
    /// to linger, and for how long.
    pub(crate) fn close_but_linger(&self) -> Option<(Source, Duration)> {
        if !self.lines.mark_closed() {
            return None;
        }
        self.lines.deregister();
        self.closing.end_waits_by_number();
        #[cfg(feature = "sim")]
        crate::calls::closing(self.fd.as_raw_fd());
        if !self.closing.is_shared() {
            fd::shutdown_both(self.fd.as_fd());
        }
        let lingering = self.lingering();
        if lingering.is_none() {
            self.closing.linger_in_background();
        }
        // With no descriptor to spare for the replacement the open file
        // lives on until the drop: shut down and marked it is no use.
        let _ = fd::replace_by_dead(self.fd.as_fd());
        lingering
    }

    /// A handle of its own to the open file, and the time, if it lingers at all.
    fn lingering(&self) -> Option<(Source, Duration)> {
        let time = match self.may_linger() {
            true => fd::linger(self.fd.as_fd())?,
            false => return None,
        };
        let rest = Source::new(fd::duplicate(self.fd.as_raw_fd()).ok()?);
        rest.note_may_linger();
        Some((rest, time))
    }

    /// Has a close end this process's part alone.
    pub(crate) fn share(&self) {
        self.closing.share();
    }

    /// Whether the socket may linger when it is closed.
    pub(crate) fn may_linger(&self) -> bool {
        self.closing.may_linger()
    }

    /// To be called if it may.
    pub(crate) fn note_may_linger(&self) {
        self.closing.note_may_linger();
    }

    /// The descriptor, for calls that do not make it linger.
    #[inline]
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Whether [`close`](Source::close) was called.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.lines.is_closed()
    }
}

/// Deregisters when it is dropped.
struct Registered(Arc<Lines>);

impl Deref for Registered {
    type Target = Arc<Lines>;

    fn deref(&self) -> &Arc<Lines> {
        &self.0
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.0.deregister();
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.note_may_linger();
        self.fd.as_fd()
    }
}

impl AsRawFd for Source {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("fd", &self.fd.as_raw_fd())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Sets or clears O_NONBLOCK on the open file behind `fd`, which its duplicates
/// share.
///
/// # Errors
///
/// What fcntl(2) says.
pub fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    fd::set_nonblocking(fd, nonblocking)
}

#[cfg(test)]
mod tests;
