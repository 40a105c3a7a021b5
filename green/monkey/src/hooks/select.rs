//! select(2), pselect(2), by way of poll(2).
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::{c_int, c_short};
use std::time::{Duration, Instant};

use libc::{fd_set, pollfd, sigset_t, timespec, timeval};

use super::poll::wait_for;
use super::time::duration;
use crate::Patch;
use crate::answer::{Answer, of};

hooks! {
    is_on(Patch::SELECT) fn select(
        len: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set, limit: *mut timeval
    ) -> c_int = own_select;
    is_on(Patch::SELECT) fn pselect(
        len: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set, limit: *const timespec,
        mask: *const sigset_t
    ) -> c_int = own_pselect;
}

const IN: c_short = libc::POLLIN | libc::POLLRDNORM;
const OUT: c_short = libc::POLLOUT | libc::POLLWRNORM;
/// What counts for each of the three sets, as the kernel has it.
const COUNTS: [c_short; 3] = [
    IN | libc::POLLHUP | libc::POLLERR,
    OUT | libc::POLLERR,
    libc::POLLPRI,
];

/// # Safety
///
/// The caller's sets.
unsafe fn by_poll(
    len: c_int,
    sets: [*mut fd_set; 3],
    limit: Option<Duration>,
    block: impl FnOnce() -> Answer<c_int>,
) -> Answer<c_int> {
    if !(0..=libc::FD_SETSIZE as c_int).contains(&len) {
        // Larger sets than C's type are the caller's own affair.
        return block();
    }
    // SAFETY: the caller's, or null.
    let has = |set: *mut fd_set, fd| unsafe { !set.is_null() && libc::FD_ISSET(fd, set) };
    let mut entries = Vec::new();
    for fd in 0..len {
        let wanted = [IN, OUT, libc::POLLPRI];
        let events = (0..3).filter(|&n| has(sets[n], fd));
        let events = events.fold(0, |events, n| events | wanted[n]);
        if events != 0 {
            entries.push(pollfd {
                fd,
                events,
                revents: 0,
            });
        }
    }
    // SAFETY: our entries.
    unsafe { wait_for(entries.as_mut_ptr(), entries.len() as _, limit, block)? };
    if entries
        .iter()
        .any(|entry| entry.revents & libc::POLLNVAL != 0)
    {
        return Err(libc::EBADF);
    }
    let mut ready = 0;
    for entry in &entries {
        for n in 0..3 {
            if has(sets[n], entry.fd) {
                match entry.revents & COUNTS[n] {
                    // SAFETY: it was found in this set.
                    0 => unsafe { libc::FD_CLR(entry.fd, sets[n]) },
                    _ => ready += 1,
                }
            }
        }
    }
    Ok(ready)
}

unsafe fn own_select(
    len: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    limit: *mut timeval,
) -> Answer<c_int> {
    // SAFETY: the caller's.
    unsafe {
        let block = || of(real::select(len, read, write, except, limit));
        let (wanted, begun) = (limit.as_mut(), Instant::now());
        let Some(wanted) = wanted else {
            return by_poll(len, [read, write, except], None, block);
        };
        let (Ok(seconds), Ok(micros)) =
            (u64::try_from(wanted.tv_sec), u64::try_from(wanted.tv_usec))
        else {
            return block();
        };
        let whole = Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros));
        let answer = by_poll(len, [read, write, except], Some(whole), block)?;
        // Linux tells what is left.
        let left = whole.saturating_sub(begun.elapsed());
        wanted.tv_sec = left.as_secs() as _;
        wanted.tv_usec = left.subsec_micros().into();
        Ok(answer)
    }
}

unsafe fn own_pselect(
    len: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    limit: *const timespec,
    mask: *const sigset_t,
) -> Answer<c_int> {
    // SAFETY: the caller's.
    unsafe {
        let block = || of(real::pselect(len, read, write, except, limit, mask));
        match limit.as_ref().map(duration) {
            // A mask holds for an OS thread.
            _ if !mask.is_null() => block(),
            Some(None) => block(),
            limit => by_poll(len, [read, write, except], limit.flatten(), block),
        }
    }
}
