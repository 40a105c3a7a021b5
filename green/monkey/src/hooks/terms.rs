//! On what terms a call waits that finds nothing: whether at all, and for how long at most.
//!
//! The kernel knows: O_NONBLOCK, and a socket's SO_RCVTIMEO and SO_SNDTIMEO. Most descriptors have none of them, and that is
//! noted, to be spared the questions at the next wait. A note is void after half a second, when its number is closed,
//! and when any descriptor's terms are changed, since an open file can have several numbers. What we do not see, by a
//! system call of the program's own or by another process, is found out within the half second: a wait that
//! relied on a note asks again then.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::{c_int, c_ulong, c_void};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use greenhub::Deadline;
use libc::socklen_t;

use super::descriptor::{Direction, is_nonblocking, is_on_a_disk, limit_of_socket};
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
    pub(super) fn of(fd: c_int, direction: Direction) -> (Terms, Doubt) {
        let changes = CHANGES.load(Ordering::SeqCst);
        match noted(fd, direction, changes) {
            Some(rest) => {
                let until = Deadline::after(rest);
                (Terms::Wait(None), Doubt { until, changes })
            }
            None => (Terms::asked(fd, direction), Doubt::NONE),
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

/// That a call relies on a note, until it asks after all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    pub(super) until: Deadline,
    /// How many changes had been seen.
    changes: u64,
}

impl Doubt {
    pub(super) const NONE: Doubt = Doubt {
        until: Deadline::NEVER,
        changes: 0,
    };

    /// Whether a change of the open file's terms has been seen since, by whatever number.
    pub(super) fn has_seen_a_change(self, fd: c_int) -> bool {
        last_change(fd).is_some_and(|last| last.load(Ordering::SeqCst) > self.changes)
    }
}

/// How many changes of any descriptor's terms have been seen.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// Which change was the last of an open file. Those that share a place are taken for one.
static LAST_CHANGES: [AtomicU64; 1 << PLACES] = [const { AtomicU64::new(0) }; 1 << PLACES];
const PLACES: u32 = 12;

/// Numbers of one socket or pipe have the same.
fn last_change(fd: c_int) -> Option<&'static AtomicU64> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel fills it in, which is looked at first.
    let inode = unsafe {
        match libc::fstat(fd, stat.as_mut_ptr()) {
            0 => stat.assume_init().st_ino,
            _ => return None,
        }
    };
    let mixed = inode.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Some(&LAST_CHANGES[(mixed >> (u64::BITS - PLACES)) as usize])
}

/// To be called after a change by the number `fd`.
pub(super) fn changed(fd: c_int) {
    let this = CHANGES.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(last) = last_change(fd) {
        last.fetch_max(this, Ordering::SeqCst);
    }
}

/// How long a note holds, in milliseconds.
const HOLDS: u32 = 500;

/// Of each number: whether calls in either direction wait without a limit, when that was asked, how many changes of any
/// there had been, and how often it was closed, as far as they fit. Higher numbers have no notes.
static NOTES: [AtomicU64; 1 << 16] = [const { AtomicU64::new(0) }; 1 << 16];

const READS: u64 = 1;
const WRITES: u64 = 2;
const BOTH: u64 = READS | WRITES;
const TIME: u32 = 2;
const CHANGED: u32 = 34;
const CHANGES_THAT_FIT: u64 = (1 << 20) - 1;
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
fn noted(fd: c_int, direction: Direction, changes: u64) -> Option<Duration> {
    let note = slot(fd)?.load(Ordering::SeqCst);
    if note & bit(direction) == 0 || (note >> CHANGED ^ changes) & CHANGES_THAT_FIT != 0 {
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
    changes: u64,
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
        let changes = self.changes & CHANGES_THAT_FIT;
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
