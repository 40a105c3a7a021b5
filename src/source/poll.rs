//! Calls for futures: try, leave a waker where an edge finds it, and say that it is pending.
//!
//! The memory of readiness is that of [`retry`](Source::retry), so a future and a thread may use one
//! descriptor at once. An edge wakes the first thread that waits and every waker.
//!
//! A poll never parks and never gives way: its caller may hold a lock that blocks OS threads (h2 polls its
//! socket under one), and another green thread that wants it would block the hub. After as many calls in a row
//! as a thread may make, a poll wakes its own task and is pending, so that its executor lets others run.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use super::{Direction, Lines, Source};
use crate::error::ClosedLocally;
use crate::hub::current;
use crate::hub::wait::without_waiting;

/// The place where one task that polls a source leaves its wakers, one in each direction.
///
/// Two tasks that poll one source at once need one each; otherwise the first would not be woken. Dropping it
/// removes its wakers.
pub struct Poller {
    id: u64,
    lines: Arc<Lines>,
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.lines.read.wakers.forget(self.id);
        self.lines.write.wakers.forget(self.id);
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("fd", &self.lines.fd())
            .finish_non_exhaustive()
    }
}

impl Poller {
    fn leave(&self, direction: Direction, context: &Context<'_>) {
        let wakers = &self.lines.line(direction).wakers;
        wakers.leave(self.id, context.waker());
    }
}

impl Source {
    /// A new poller for this source.
    pub fn poller(&self) -> Poller {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Poller {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            lines: self.lines.clone(),
        }
    }

    /// # Panics
    ///
    /// If the poller is another source's.
    fn assert_own(&self, poller: &Poller) {
        assert!(
            Arc::ptr_eq(&self.lines, &poller.lines),
            "a poller polls the source that made it"
        );
    }

    /// Calls `operation`, unless the direction is known not to be ready. If that returns EAGAIN, the waker of
    /// `context` is kept, to be called at the next event in `direction` or at a close, and the call is
    /// pending.
    ///
    /// # Errors
    ///
    /// As [`retry`](Source::retry), and what keeps the source from being registered with a hub.
    ///
    /// # Panics
    ///
    /// If the poller is another source's.
    pub fn poll<T>(
        &self,
        poller: &Poller,
        direction: Direction,
        context: &mut Context<'_>,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.poll_until(poller, direction, context, operation, |_| false)
    }

    /// As [`poll`](Source::poll) in direction `Read`, for an operation that reads into `capacity` bytes and
    /// returns how many it read.
    ///
    /// # Errors
    ///
    /// As [`poll`](Source::poll).
    pub fn poll_read(
        &self,
        poller: &Poller,
        capacity: usize,
        context: &mut Context<'_>,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let read = self.poll_until(poller, Direction::Read, context, operation, |&n| {
            self.tcp_stream && n > 0 && n < capacity
        });
        match read {
            // Our own shutdown in `close`, seen by a call under way.
            Poll::Ready(Ok(0)) if capacity > 0 && self.is_closed() => {
                Poll::Ready(Err(ClosedLocally.into()))
            }
            read => read,
        }
    }

    fn poll_until<T>(
        &self,
        poller: &Poller,
        direction: Direction,
        context: &mut Context<'_>,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
        exhausts: impl Fn(&T) -> bool,
    ) -> Poll<io::Result<T>> {
        self.assert_own(poller);
        let line = self.lines.line(direction);
        let mut left = false;
        loop {
            if self.is_closed() {
                return Poll::Ready(Err(ClosedLocally.into()));
            }
            let seen = line.look();
            if seen.is_ready() {
                if is_spent() {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                match operation(self.fd().as_fd()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => line.exhausted(seen),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(_) if self.is_closed() => continue,
                    result => {
                        if let Ok(value) = &result
                            && exhausts(value)
                            && !seen.is_ending()
                        {
                            line.exhausted(seen);
                        }
                        return Poll::Ready(result);
                    }
                }
            } else if left {
                return Poll::Pending;
            } else {
                if let Err(error) = self.lines.be_polled(context.waker()) {
                    return Poll::Ready(Err(error));
                }
                poller.leave(direction, context);
                left = true;
            }
        }
    }

    /// Calls an `operation` that may need either direction, whether it reads or writes, such as one of TLS. If
    /// it returns EAGAIN, the waker of `context` is kept in both directions.
    ///
    /// It calls the operation first, whatever is known of readiness: the layer may have data of its own. An operation that
    /// could go on without end [nudges](Source::nudge) the source and returns EAGAIN: it is called again after others
    /// have run.
    ///
    /// # Errors
    ///
    /// As [`poll`](Source::poll).
    ///
    /// # Panics
    ///
    /// If the operation waits, or the poller is another source's.
    pub fn poll_layer<T>(
        &self,
        poller: &Poller,
        context: &mut Context<'_>,
        mut operation: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.assert_own(poller);
        if is_spent() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let seen = self.lines.edges();
        loop {
            match without_waiting("a poll must not wait", &mut operation) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
        if let Err(error) = self.lines.be_polled(context.waker()) {
            return Poll::Ready(Err(error));
        }
        poller.leave(Direction::Read, context);
        poller.leave(Direction::Write, context);
        // Not here once more: an operation that has been at work for long enough nudges the source itself.
        if self.is_closed() || self.lines.edges() != seen {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Whether the running green thread has made so many calls in a row that others should run. Returns true only
/// once, so that an executor that does not let others run gets on all the same.
fn is_spent() -> bool {
    current::is_green() && current::local().is_some_and(|local| local.spend_by_poll())
}
