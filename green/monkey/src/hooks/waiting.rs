//! The loop that most hooks consist of: a call that is tried until it need not wait, on the terms that it began with.

use std::ffi::c_int;
use std::time::Duration;

use greenhub::Deadline;
use greenhub::foreign;

use super::descriptor::{Direction, is_unix};
use super::naps::Naps;
use super::terms::{Doubt, Terms};
use crate::answer::{Answer, code};

/// Parks until a call is worth a try, or `deadline`, which gives false.
pub(super) fn wait(fd: c_int, direction: Direction, deadline: Deadline) -> Answer<bool> {
    match is_printed_to(fd, direction) {
        true => foreign::wait_fd_uncut(fd, direction, deadline).map_err(code),
        false => foreign::wait_fd(fd, direction, deadline).map_err(code),
    }
}

/// Where `println!` and the like write to, which panic at errors: such waits go on.
fn is_printed_to(fd: c_int, direction: Direction) -> bool {
    direction == Direction::Write && matches!(fd, libc::STDOUT_FILENO | libc::STDERR_FILENO)
}

/// One call of the program's, which may take several tries and waits. It keeps the terms that it began with.
pub(super) struct Call {
    fd: c_int,
    direction: Direction,
    /// Once a try has found nothing.
    terms: Option<(Terms, Doubt)>,
    /// Once it has waited.
    deadline: Option<Deadline>,
}

impl Call {
    pub(super) const fn new(fd: c_int, direction: Direction) -> Call {
        Call {
            fd,
            direction,
            terms: None,
            deadline: None,
        }
    }

    /// One whose first try has found nothing.
    pub(super) const fn on(fd: c_int, direction: Direction, terms: (Terms, Doubt)) -> Call {
        Call {
            terms: Some(terms),
            ..Call::new(fd, direction)
        }
    }

    /// Tries until it does not say EAGAIN, and parks between the tries. `block` is the call as it
    /// would be unpatched, for where the thread must not be parked.
    pub(super) fn retry<R>(
        &mut self,
        mut attempt: impl FnMut() -> Answer<R>,
        block: impl FnOnce() -> Answer<R>,
    ) -> Answer<R> {
        match attempt() {
            Err(libc::EAGAIN) => self.again(attempt, block),
            done => {
                foreign::give_way();
                done
            }
        }
    }

    /// As [`retry`](Call::retry), after a first try that said EAGAIN.
    pub(super) fn again<R>(
        &mut self,
        mut attempt: impl FnMut() -> Answer<R>,
        block: impl FnOnce() -> Answer<R>,
    ) -> Answer<R> {
        let (fd, direction) = (self.fd, self.direction);
        let (terms, mut doubt) = *self.terms.get_or_insert_with(|| Terms::of(fd, direction));
        let limit = match terms {
            Terms::NonBlocking => return Err(libc::EAGAIN),
            Terms::Wait(limit) if foreign::may_park() => limit,
            Terms::Wait(_) | Terms::Disk => return block(),
        };
        let mut deadline = self.deadline_of(limit);
        let mut naps = Naps::new();
        for turn in 0u32.. {
            let until = deadline.min(doubt.until);
            // A datagram socket of Unix's counts as writable while its peer is full.
            let goes_on = match turn >= 3 && direction == Direction::Write {
                true if is_printed_to(fd, direction) => naps.nap_uncut("write", until),
                true => naps.nap(until)?,
                false => wait(fd, direction, until)?,
            };
            match attempt() {
                Err(libc::EAGAIN) if goes_on => (),
                Err(libc::EAGAIN) if !doubt.until.is_never() => {
                    // A change that was seen is later than the call, and does not count for it.
                    let terms = match doubt.has_seen_a_change(fd) {
                        true => terms,
                        false => Terms::asked(fd, direction),
                    };
                    doubt = Doubt::NONE;
                    self.terms = Some((terms, doubt));
                    self.deadline = None;
                    match terms {
                        Terms::Wait(limit) => deadline = self.deadline_of(limit),
                        _ => return Err(libc::EAGAIN),
                    }
                }
                done => return done,
            }
        }
        unreachable!("the loop ends by what it waits for")
    }

    /// Until when a wait may last that begins now. A limit is one for all waits of a call, but Unix's sockets have it for
    /// each part that they send.
    fn deadline_of(&mut self, limit: Option<Duration>) -> Deadline {
        match self.deadline {
            Some(deadline)
                if limit.is_none() || self.direction == Direction::Read || !is_unix(self.fd) =>
            {
                deadline
            }
            _ => *self.deadline.insert(Deadline::within(limit)),
        }
    }
}
