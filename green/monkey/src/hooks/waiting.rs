//! What hooks need to know of a descriptor, and the loop that most of them consist of.
#![expect(unsafe_code, reason = "system calls")]

use std::ffi::{c_int, c_short};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::foreign;
pub(super) use greenhub::source::Direction;
use greenhub::wait_queue::ShortLock;

use super::option::option;
use super::terms::{Doubt, Terms};
use crate::answer::{Answer, code, of};

/// Between two tries of what no event announces.
const SHORTEST_NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(16);

pub(super) fn flags(fd: c_int) -> Answer<c_int> {
    // SAFETY: no pointer is passed.
    of(unsafe { super::process::real::fcntl(fd, libc::F_GETFL, 0) })
}

/// Held while somebody has set O_NONBLOCK for one call. There is one lock for all descriptors,
/// since an open file can have several numbers.
static GAME: ShortLock<()> = ShortLock::new(());

/// Makes a call on a descriptor that is non-blocking for the length of this call. If the program
/// has made it non-blocking itself, it stays so.
pub(super) fn without_blocking<R>(fd: c_int, call: impl FnOnce() -> Answer<R>) -> Answer<R> {
    let _one_at_a_time = GAME.lock();
    let before = flags(fd)?;
    if before & libc::O_NONBLOCK != 0 {
        return call();
    }
    let set = |flags: c_int| {
        // SAFETY: no pointer is passed.
        of(unsafe { super::process::real::fcntl(fd, libc::F_SETFL, flags as usize) })
    };
    set(before | libc::O_NONBLOCK)?;
    let answer = call();
    let _ = set(before);
    answer
}

/// Whether the program itself has asked for calls that do not wait.
pub(super) fn is_nonblocking(fd: c_int) -> bool {
    let is_set = || flags(fd).is_ok_and(|flags| flags & libc::O_NONBLOCK != 0);
    is_set() && {
        // Now nobody plays.
        let _nobody_plays = GAME.lock();
        is_set()
    }
}

/// How long a call in this direction may take: SO_RCVTIMEO or SO_SNDTIMEO.
pub(super) fn limit_in(fd: c_int, direction: Direction) -> Option<Duration> {
    limit_of_socket(fd, direction).ok().flatten()
}

/// As [`limit_in`]; an error if `fd` is no socket.
pub(super) fn limit_of_socket(fd: c_int, direction: Direction) -> Answer<Option<Duration>> {
    let option = match direction {
        Direction::Read => libc::SO_RCVTIMEO,
        Direction::Write => libc::SO_SNDTIMEO,
    };
    let mut time = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    let mut len = size_of::<libc::timeval>() as libc::socklen_t;
    // SAFETY: `time` and `len` live across the call, and fit together.
    of(unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            option,
            (&raw mut time).cast(),
            &mut len,
        )
    })?;
    let limit = Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_usec).unwrap_or(0) * 1_000,
    );
    Ok((!limit.is_zero()).then_some(limit))
}

/// Until when a call in this direction may wait that begins now.
pub(super) fn deadline_in(fd: c_int, direction: Direction) -> Deadline {
    Deadline::within(limit_in(fd, direction))
}

/// Whether a call in this direction is worth a try.
pub(super) fn is_ready(fd: c_int, direction: Direction) -> bool {
    let events: c_short = match direction {
        Direction::Read => libc::POLLIN,
        Direction::Write => libc::POLLOUT,
    };
    let mut entry = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: one entry, which lives across the call.
    unsafe { super::poll::real::poll(&mut entry, 1, 0) != 0 }
}

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

/// Naps that grow, for what no event announces.
pub(super) struct Naps(Duration);

impl Naps {
    pub(super) const fn new() -> Naps {
        Naps(SHORTEST_NAP)
    }

    fn next(&mut self, deadline: Deadline) -> Option<Deadline> {
        if deadline.has_passed() {
            return None;
        }
        let until = Deadline::after(self.0);
        self.0 = (2 * self.0).min(LONGEST_NAP);
        Some(until.min(deadline))
    }

    /// False if `deadline` has passed.
    pub(super) fn nap(&mut self, deadline: Deadline) -> Answer<bool> {
        match self.next(deadline) {
            None => Ok(false),
            Some(until) => foreign::sleep_until(until).map(|()| true).map_err(code),
        }
    }

    /// As [`nap`](Naps::nap), for those who know no error: neither a kill nor a limit is told.
    pub(super) fn nap_uncut(&mut self, what: &'static str, deadline: Deadline) -> bool {
        let next = self.next(deadline);
        if let Some(until) = next {
            foreign::park(what, until, |_| true, || ());
        }
        next.is_some()
    }
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

/// Whether `fd` is a socket of Unix's.
pub(super) fn is_unix(fd: c_int) -> bool {
    option(fd, libc::SO_DOMAIN) == Ok(libc::AF_UNIX)
}
