//! poll(2), ppoll(2): poll(2) alone decides what is ready; an event says when to ask again.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::{c_int, c_short};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::foreign;
use libc::{nfds_t, pollfd, sigset_t, size_t, timespec};

use super::command;
use super::descriptor::Direction;
use super::time::duration;
use super::waiting::wait;
use crate::Patch;
use crate::answer::{Answer, code, of};
use crate::behind;

hooks! {
    is_on(Patch::SELECT) fn __poll_chk(entries: *mut pollfd, len: nfds_t, limit_ms: c_int, room: size_t) -> c_int
        = own_poll_chk;
    is_on(Patch::SELECT) fn ppoll(
        entries: *mut pollfd, len: nfds_t, limit: *const timespec, mask: *const sigset_t
    ) -> c_int = own_ppoll;
    + is_on(Patch::SELECT) fn poll(entries: *mut pollfd, len: nfds_t, limit_ms: c_int) -> c_int = own_poll;
}

/// Asks and parks until something is ready, or `limit`. None is for ever.
///
/// # Safety
///
/// The caller's entries.
pub(super) unsafe fn wait_for(
    entries: *mut pollfd,
    len: nfds_t,
    limit: Option<Duration>,
    block: impl FnOnce() -> Answer<c_int>,
) -> Answer<c_int> {
    // SAFETY: the caller's.
    let ask = || unsafe { of(real::poll(entries, len, 0)) };
    let ready = ask()?;
    if ready > 0 || limit.is_some_and(|limit| limit.is_zero()) {
        foreign::give_way();
        return Ok(ready);
    }
    if !foreign::may_park() {
        return block();
    }
    let deadline = Deadline::within(limit);
    let entries: &[pollfd] = match len {
        0 => &[],
        // SAFETY: the caller's entries, as many as it says; the kernel has just read them.
        len => unsafe { std::slice::from_raw_parts(entries, len as usize) },
    };
    let alarm = Alarm::new(entries)?;
    loop {
        let goes_on = alarm.wait(deadline)?;
        match ask()? {
            0 if goes_on => (),
            ready => return Ok(ready),
        }
    }
}

/// What tells when to ask poll(2) again.
enum Alarm {
    None,
    One(c_int, Direction),
    /// Several, or something other than read or write: a poller of their own, level-triggered.
    Poller(Poller),
}

impl Alarm {
    fn new(entries: &[pollfd]) -> Answer<Alarm> {
        const IN: c_short = libc::POLLIN | libc::POLLRDNORM;
        const OUT: c_short = libc::POLLOUT | libc::POLLWRNORM;
        let mut wanted = entries.iter().filter(|entry| entry.fd >= 0);
        Ok(match (wanted.next(), wanted.next()) {
            (None, _) => Alarm::None,
            (Some(one), None) if one.events & !IN == 0 => Alarm::One(one.fd, Direction::Read),
            (Some(one), None) if one.events & !OUT == 0 => Alarm::One(one.fd, Direction::Write),
            _ => Alarm::Poller(Poller::new(entries)?),
        })
    }

    /// False if `deadline` has passed.
    fn wait(&self, deadline: Deadline) -> Answer<bool> {
        match self {
            Alarm::None => {
                foreign::sleep(deadline).map_err(code)?;
                Ok(false)
            }
            &Alarm::One(fd, direction) => or_closed(wait(fd, direction, deadline)),
            Alarm::Poller(poller) => or_closed(wait(poller.0, Direction::Read, deadline)),
        }
    }
}

/// Of a descriptor that is closed poll(2) tells itself.
fn or_closed(waited: Answer<bool>) -> Answer<bool> {
    match waited {
        Err(libc::EBADF) => Ok(true),
        waited => waited,
    }
}

struct Poller(c_int);

impl Poller {
    fn new(entries: &[pollfd]) -> Answer<Poller> {
        // SAFETY: no pointer is passed.
        let poller = Poller(of(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?);
        for entry in entries.iter().filter(|entry| entry.fd >= 0) {
            let same = |other: &&pollfd| other.fd == entry.fd;
            let all = entries.iter().filter(same);
            let events = all.fold(0, |events, other| events | other.events);
            let mut event = libc::epoll_event {
                events: events as u16 as u32,
                u64: 0,
            };
            // Another entry of the same number is there already; what the poller does not take
            // is always ready.
            // SAFETY: `event` lives across the call.
            unsafe { libc::epoll_ctl(poller.0, libc::EPOLL_CTL_ADD, entry.fd, &mut event) };
        }
        Ok(poller)
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        foreign::closing(self.0);
        // SAFETY: ours, and used no more.
        unsafe { behind::real::close(self.0) };
    }
}

unsafe fn own_poll(entries: *mut pollfd, len: nfds_t, limit_ms: c_int) -> Answer<c_int> {
    let limit = u64::try_from(limit_ms).ok().map(Duration::from_millis);
    // SAFETY: the caller's.
    let polled = unsafe {
        wait_for(entries, len, limit, || {
            of(real::poll(entries, len, limit_ms))
        })
    };
    match polled {
        Err(code) if command::ends_pipes(code) => {
            // SAFETY: the caller's entries, which the kernel has written to.
            let entries = unsafe { std::slice::from_raw_parts_mut(entries, len as usize) };
            entries
                .iter_mut()
                .for_each(|entry| entry.revents = libc::POLLHUP);
            Ok(len as c_int)
        }
        polled => polled,
    }
}

unsafe fn own_poll_chk(
    entries: *mut pollfd,
    len: nfds_t,
    limit_ms: c_int,
    room: size_t,
) -> Answer<c_int> {
    // SAFETY: the caller's; what does not fit ends the process there.
    unsafe {
        match room / size_of::<pollfd>() < len as usize {
            true => of(real::__poll_chk(entries, len, limit_ms, room)),
            false => own_poll(entries, len, limit_ms),
        }
    }
}

unsafe fn own_ppoll(
    entries: *mut pollfd,
    len: nfds_t,
    limit: *const timespec,
    mask: *const sigset_t,
) -> Answer<c_int> {
    // SAFETY: the caller's.
    unsafe {
        let block = || of(real::ppoll(entries, len, limit, mask));
        match limit.as_ref().map(duration) {
            // A mask holds for an OS thread.
            _ if !mask.is_null() => block(),
            Some(None) => block(),
            limit => wait_for(entries, len, limit.flatten(), block),
        }
    }
}
