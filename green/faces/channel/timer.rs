//! Channels that nobody sends to but the clock.

use std::time::{Duration, Instant};

use greenhub::Deadline;
use greenhub::wait_queue::ShortLock;
use greenhub::wait_queue::give_way;

use super::context::Context;

/// What [`after`](super::after), [`at`](super::at) and [`tick`](super::tick) receive from.
pub(super) struct Timer {
    /// When the next message is due; `None` after the last.
    due: ShortLock<Option<Instant>>,
    period: Option<Duration>,
}

impl Timer {
    pub(super) fn new(due: Option<Instant>, period: Option<Duration>) -> Timer {
        Timer {
            due: ShortLock::new(due),
            period,
        }
    }

    /// When it is due.
    pub(super) fn deadline(&self) -> Deadline {
        self.due.lock().map_or(Deadline::NEVER, Deadline::at)
    }

    pub(super) fn is_due(&self) -> bool {
        self.due.lock().is_some_and(|due| due <= Instant::now())
    }

    /// The message, if it is due: the moment for which it was due.
    pub(super) fn try_take(&self) -> Option<Instant> {
        self.take_for(Instant::now())
    }

    /// As [`try_take`](Timer::try_take), for one who asked at `asked` and may have waited since.
    pub(super) fn take_for(&self, asked: Instant) -> Option<Instant> {
        let mut due = self.due.lock();
        let message = due.filter(|due| *due <= Instant::now())?;
        // Who asked before it was due keeps the beat, however late it came up. Messages that nobody
        // took are left out: the next is due a whole period after this one was asked for.
        let from = message.max(asked);
        *due = self.period.and_then(|period| from.checked_add(period));
        Some(message)
    }

    /// Waits for the message; `None` if the deadline passes before.
    pub(super) fn take(&self, deadline: Deadline) -> Option<Instant> {
        give_way();
        let asked = Instant::now();
        loop {
            if let Some(message) = self.take_for(asked) {
                return Some(message);
            }
            if deadline.has_passed() {
                return None;
            }
            let until = self.deadline().min(deadline);
            Context::new().wait("channel: timer", until, || true);
        }
    }
}
