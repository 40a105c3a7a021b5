//! How long a call goes on while all that comes carries nothing: key updates, tickets, requests for a new handshake.
//!
//! The kernel may have more of it for ever, so that a call never waits, and only waits let others run, meet a limit or
//! a kill, or say that there is nothing. So such a call looks by itself, after each step.

use std::io;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::source::{Direction, Source};
use greenhub::wait_queue::checkpoint;

/// How long one goes on that must not wait: as long as a green thread may that has others beside it.
const MOST: Duration = Duration::from_micros(250);

pub(super) struct Patience {
    deadline: Deadline,
    /// Whether the caller calls again when it is nudged, although the kernel has nothing more.
    nudged: bool,
    /// After the first step, which most calls make: they have to receive.
    begun: bool,
    /// When it ends, of a call that must not wait.
    end: Option<Deadline>,
}

impl Patience {
    /// Of a call that has this deadline.
    pub(super) fn within(deadline: Deadline) -> Patience {
        Patience {
            deadline,
            nudged: false,
            begun: false,
            end: None,
        }
    }

    /// Of a future's poll.
    #[cfg(feature = "async")]
    pub(super) fn of_a_poll() -> Patience {
        Patience {
            nudged: true,
            ..Patience::within(Deadline::NOW)
        }
    }

    /// To be called after a step that has brought nothing. `fed`: whether more was fed than it has looked at, which
    /// no event tells of.
    ///
    /// # Errors
    ///
    /// When the call must be over.
    pub(super) fn step(&mut self, source: &Source, fed: bool) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            return Ok(());
        }
        // First of all: in a poll it makes the hub look at its timers next.
        checkpoint();
        if self.deadline == Deadline::NOW {
            let end = *self.end.get_or_insert_with(|| Deadline::after(MOST));
            if end.has_passed() && (self.nudged || !fed) {
                source.nudge(Direction::Read);
                return Err(over(Deadline::NOW));
            }
        }
        check(self.deadline)
    }
}

/// An error once `deadline` has passed. If a peer keeps us busy with records that carry nothing, no call waits, so
/// checking the limit in waits alone is not enough.
pub(super) fn check(deadline: Deadline) -> io::Result<()> {
    match deadline != Deadline::NOW && deadline.has_passed() {
        true => Err(over(deadline)),
        false => Ok(()),
    }
}

/// What a call returns that may not wait (any longer).
pub(super) fn over(deadline: Deadline) -> io::Error {
    if deadline == Deadline::NOW {
        io::Error::from_raw_os_error(libc::EAGAIN)
    } else {
        io::Error::new(io::ErrorKind::TimedOut, "the time limit of the call passed")
    }
}
