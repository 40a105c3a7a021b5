//! On what terms a call waits that finds nothing: whether at all, and for how long at most.
//!
//! The kernel knows: O_NONBLOCK, and a socket's SO_RCVTIMEO and SO_SNDTIMEO. Most descriptors have none of them, and that is
//! noted, to be spared the questions at the next wait. A note is void after half a second, when its number is closed,
//! and when any descriptor's terms are changed, since an open file can have several numbers. What we do not see, by a
//! system call of the program's own or by another process, is found out within the half second: a wait that
//! relied on a note asks again then.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::{c_int, c_ulong, c_void};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use greenhub::Deadline;
use libc::socklen_t;

use super::read_write::is_on_a_disk;
use super::waiting::{Direction, is_nonblocking, limit_of_socket};
use crate::Patch;
use crate::answer::{Answer, of};

hooks! {
    is_on_anywhere(Patch::all()) fn ioctl(fd: c_int, request: c_ulong, argument: usize) -> c_int = own_ioctl;
    is_on_anywhere(Patch::all()) fn setsockopt(
        fd: c_int, level: c_int, name: c_int, value: *const c_void, len: socklen_t
    ) -> c_int = own_setsockopt;
}

unsafe fn own_ioctl(fd: c_int, request: c_ulong, argument: usize) -> Answer<c_int> {
    // SAFETY: the caller's.
    let answer = unsafe { of(real::ioctl(fd, request, argument)) };
    // Of the number the kernel takes 32 bits.
    if request as u32 == libc::FIONBIO as u32 {
        changed(fd);
    }
    answer
}

unsafe fn own_setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> Answer<c_int> {
    // SAFETY: the caller's.
    let answer = unsafe { of(real::setsockopt(fd, level, name, value, len)) };
    if level == libc::SOL_SOCKET && LIMITS.contains(&name) {
        changed(fd);
    }
    answer
}

/// SO_RCVTIMEO and SO_SNDTIMEO, and those with 64 bits for the time on every architecture.
const LIMITS: [c_int; 4] = [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO, 66, 67];

/// What a call is to do that found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terms {
    /// Say so.
    NonBlocking,
    /// Read the file: it is always ready, and may wait for the disk all the same.
    Disk,
    /// Wait for so long.
    Wait(Option<Duration>),
}

impl Terms {
    /// The terms as they are, and until when to rely on them. Later [`asked`](Terms::asked) says whether they are still so.
    pub(super) fn of(fd: c_int, direction: Direction) -> (Terms, Deadline) {
        match noted(fd, direction) {
            Some(rest) => (Terms::Wait(None), Deadline::after(rest)),
            None => (Terms::asked(fd, direction), Deadline::NEVER),
        }
    }

    /// As the kernel has them.
    pub(super) fn asked(fd: c_int, direction: Direction) -> Terms {
        let before = Before::of(fd);
        let limit = match limit_of_socket(fd, direction) {
            Ok(limit) => limit,
            Err(_) if is_on_a_disk(fd) => return Terms::Disk,
            Err(_) => None,
        };
        if is_nonblocking(fd) {
            return Terms::NonBlocking;
        }
        if limit.is_none() {
            before.note(direction);
        }
        Terms::Wait(limit)
    }
}

/// How many changes of any descriptor's terms have been seen.
static CHANGES: AtomicU32 = AtomicU32::new(0);

/// To be called after a change by the number `fd`.
pub(super) fn changed(fd: c_int) {
    if let Some(slot) = slot(fd) {
        slot.fetch_or(SEEN, Ordering::SeqCst);
    }
    CHANGES.fetch_add(1, Ordering::SeqCst);
}

/// Whether a change by the number `fd` has been seen since its terms were noted.
pub(super) fn has_changed(fd: c_int) -> bool {
    slot(fd).is_some_and(|slot| slot.load(Ordering::SeqCst) & SEEN != 0)
}

/// How long a note holds, in milliseconds.
const HOLDS: u32 = 500;

/// Of each number: whether calls in either direction wait without a limit, whether a change by it has been seen since, when
/// that was asked, how many changes of any there had been, and how often it was closed, as far as they fit. Higher numbers
/// have no notes.
static NOTES: [AtomicU64; 1 << 16] = [const { AtomicU64::new(0) }; 1 << 16];

const READS: u64 = 1;
const WRITES: u64 = 2;
const BOTH: u64 = READS | WRITES;
const SEEN: u64 = 4;
const TIME: u32 = 3;
const CHANGED: u32 = 35;
const CHANGES_THAT_FIT: u64 = (1 << 19) - 1;
const CLOSED: u32 = 54;
const ONE_CLOSE: u64 = 1 << CLOSED;

fn slot(fd: c_int) -> Option<&'static AtomicU64> {
    usize::try_from(fd).ok().and_then(|fd| NOTES.get(fd))
}

fn bit(direction: Direction) -> u64 {
    match direction {
        Direction::Read => READS,
        Direction::Write => WRITES,
    }
}

/// Milliseconds, by a clock that is cheap to read.
fn now() -> u32 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` lives across the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut time) };
    (time.tv_sec as u32)
        .wrapping_mul(1_000)
        .wrapping_add(time.tv_nsec as u32 / 1_000_000)
}

/// How much longer a note holds that says that calls wait without a limit.
fn noted(fd: c_int, direction: Direction) -> Option<Duration> {
    let note = slot(fd)?.load(Ordering::SeqCst);
    if note & bit(direction) == 0
        || (note >> CHANGED ^ u64::from(CHANGES.load(Ordering::SeqCst))) & CHANGES_THAT_FIT != 0
    {
        return None;
    }
    let age = now().wrapping_sub((note >> TIME) as u32);
    let rest = HOLDS.checked_sub(age).filter(|&rest| rest > 0)?;
    Some(Duration::from_millis(rest.into()))
}

/// What was known before the kernel is asked.
struct Before {
    slot: Option<&'static AtomicU64>,
    note: u64,
    changes: u32,
}

impl Before {
    fn of(fd: c_int) -> Before {
        let slot = slot(fd);
        Before {
            slot,
            note: slot.map_or(0, |slot| slot.load(Ordering::SeqCst)),
            changes: CHANGES.load(Ordering::SeqCst),
        }
    }

    /// Notes that calls in this direction wait without a limit, unless the number was closed meanwhile.
    fn note(self, direction: Direction) {
        let Some(slot) = self.slot else {
            return;
        };
        let closed = self.note >> CLOSED << CLOSED;
        let changes = u64::from(self.changes) & CHANGES_THAT_FIT;
        let note = closed | changes << CHANGED | u64::from(now()) << TIME | bit(direction);
        let _ = slot.compare_exchange(self.note, note, Ordering::SeqCst, Ordering::Relaxed);
    }
}

/// To be called before `fd` gets another meaning, or none, and after it did: so nobody's note of the old one outlives it.
pub(super) fn forget(fd: c_int) {
    if let Some(slot) = slot(fd) {
        slot.fetch_add(ONE_CLOSE, Ordering::SeqCst);
        slot.fetch_and(!BOTH, Ordering::SeqCst);
    }
}
