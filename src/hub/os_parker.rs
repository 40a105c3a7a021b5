//! How a plain OS thread waits: on a futex, or in poll(2) when it waits for a descriptor.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::wait_word::{Phase, Ticket, WaitWord};
use crate::deadline::Deadline;
use crate::sys::eventfd::EventFd;
use crate::sys::{futex, poll};

/// A descriptor and the poll(2) events to wait for on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PollFor {
    pub(super) fd: RawFd,
    pub(super) events: i16,
}

#[derive(Debug, Default)]
pub(crate) struct OsParker {
    /// How often it was notified; the futex that it sleeps on.
    notified: AtomicU32,
    /// Rung to end a poll(2); made at the first one.
    bell: OnceLock<EventFd>,
    /// Whether the wait under way is a poll(2). Set before the ticket opens.
    polling: AtomicBool,
}

impl OsParker {
    /// Called by whoever closed the ticket.
    pub(crate) fn notify(&self) {
        if self.polling.load(Ordering::Acquire) {
            if let Some(bell) = self.bell.get() {
                bell.ring();
            }
        } else {
            self.notified.fetch_add(1, Ordering::SeqCst);
            futex::wake(&self.notified, 1);
        }
    }

    /// To be called before a wait for a descriptor: makes what ends a poll(2).
    ///
    /// # Errors
    ///
    /// What eventfd(2) says.
    pub(super) fn make_bell(&self) -> io::Result<()> {
        if self.bell.get().is_none() {
            let bell = EventFd::new()?;
            let _ = self.bell.set(bell);
        }
        Ok(())
    }

    /// To be called before the ticket opens: says how the thread will wait.
    pub(super) fn prepare(&self, poll_for: Option<PollFor>) {
        debug_assert!(poll_for.is_none() || self.bell.get().is_some());
        self.polling.store(poll_for.is_some(), Ordering::Release);
    }

    /// Blocks this OS thread until the ticket is closed, the deadline passes or
    /// the descriptor is ready; the thread closes its own ticket for the latter
    /// two.
    pub(crate) fn park(
        &self,
        word: &WaitWord,
        ticket: Ticket,
        deadline: Deadline,
        poll_for: Option<PollFor>,
    ) {
        match (poll_for, self.bell.get()) {
            (Some(poll_for), Some(bell)) => {
                self.park_in_poll(word, ticket, deadline, poll_for, bell)
            }
            _ => self.park_on_futex(word, ticket, deadline),
        }
    }

    fn park_on_futex(&self, word: &WaitWord, ticket: Ticket, deadline: Deadline) {
        loop {
            // The waker closes the ticket and then counts; we the other way round.
            let notified = self.notified.load(Ordering::SeqCst);
            if word.open_ticket() != Some(ticket) {
                return;
            }
            let left = deadline.remaining();
            if left.is_some_and(|left| left.is_zero()) {
                word.close(ticket, Phase::TimedOut);
                continue;
            }
            futex::wait(&self.notified, notified, left);
        }
    }

    fn park_in_poll(
        &self,
        word: &WaitWord,
        ticket: Ticket,
        deadline: Deadline,
        poll_for: PollFor,
        bell: &EventFd,
    ) {
        let entries = [
            (poll_for.fd, poll_for.events),
            (bell.as_fd().as_raw_fd(), poll::IN),
        ];
        while word.open_ticket() == Some(ticket) {
            let left = deadline.remaining();
            match poll::poll(entries, left) {
                Ok([0, rung]) => {
                    if left.is_some_and(|left| left.is_zero()) {
                        word.close(ticket, Phase::TimedOut);
                    }
                    // For this wait, which the loop's condition shows, or late
                    // for one before.
                    if rung != 0 {
                        bell.reset();
                    }
                }
                // Ready, or an error that the call itself will report.
                Ok(_) => {
                    word.close(ticket, Phase::Polled);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    word.close(ticket, Phase::Polled);
                }
            }
        }
        bell.reset();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bell_rung_late_does_not_keep_the_next_wait_awake() {
        let parker = OsParker::default();
        let word = WaitWord::default();
        let (end, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let poll_for = Some(PollFor {
            fd: end.as_raw_fd(),
            events: poll::IN,
        });
        parker.make_bell().unwrap();
        parker.prepare(poll_for);
        // A waker of an earlier wait was slow.
        parker.notify();
        let ticket = word.open(false);
        let before = crate::sys::thread_cpu_time();
        parker.park(
            &word,
            ticket,
            Deadline::after(Duration::from_millis(100)),
            poll_for,
        );
        assert_eq!(word.phase(), Phase::TimedOut);
        let spent = crate::sys::thread_cpu_time() - before;
        assert!(spent < Duration::from_millis(20), "{spent:?} of CPU time");
    }
}
