//! futex(2) by syscall(2): how std and most crates lock and park.
//!
//! Waiting and waking with the private flag; everything else (shared between processes, priorities,
//! requeuing) goes to the kernel as it is. Neither a kill nor a limit ends a wait: code that locks
//! knows no such error.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::{c_int, c_long};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use greenhub::Deadline;
use greenhub::foreign;
use libc::timespec;

use super::parked::{ANY, Parked, park, wake};
use super::time::{duration, until};
use crate::Patch;
use crate::answer::{Answer, of};

hooks! {
    + is_on_anywhere(Patch::THREAD) fn syscall(
        number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize
    ) -> c_long = own_syscall;
}

unsafe fn own_syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> Answer<c_long> {
    // SAFETY: the caller's.
    let block = || unsafe { of(real::syscall(number, a, b, c, d, e, f)) };
    let operation = b as c_int;
    if number != libc::SYS_futex || operation & libc::FUTEX_PRIVATE_FLAG == 0 {
        return block();
    }
    let (value, mask) = (c as u32, f as u32);
    match operation & libc::FUTEX_CMD_MASK {
        // SAFETY: the caller's word and time.
        libc::FUTEX_WAIT => unsafe { own_wait(a, operation, value, d, None, block) },
        // SAFETY: as above.
        libc::FUTEX_WAIT_BITSET => unsafe { own_wait(a, operation, value, d, Some(mask), block) },
        libc::FUTEX_WAKE => own_wake(a, ANY, value, block),
        libc::FUTEX_WAKE_BITSET => own_wake(a, mask, value, block),
        _ => block(),
    }
}

/// # Safety
///
/// `address` is a futex word's, `time` null's or a timespec's.
unsafe fn own_wait(
    address: usize,
    operation: c_int,
    value: u32,
    time: usize,
    mask: Option<u32>,
    block: impl FnOnce() -> Answer<c_long>,
) -> Answer<c_long> {
    if !greenhub::is_green() || !address.is_multiple_of(4) || mask == Some(0) {
        return block();
    }
    // SAFETY: as the caller promises.
    let (word, time) = unsafe {
        (
            &*(address as *const AtomicU32),
            (time as *const timespec).as_ref(),
        )
    };
    let left = match time.map(duration) {
        None => None,
        // The kernel calls it invalid.
        Some(None) => return block(),
        // With a mask it is a point in time.
        Some(Some(time)) if mask.is_some() => Some(until(
            match operation & libc::FUTEX_CLOCK_REALTIME {
                0 => libc::CLOCK_MONOTONIC,
                _ => libc::CLOCK_REALTIME,
            },
            time,
        )),
        Some(time) => time,
    };
    if !foreign::may_park() {
        return block();
    }
    let deadline = Deadline::within(left);
    let is_needed = || word.load(Ordering::SeqCst) == value;
    match park(
        "futex",
        address,
        mask.unwrap_or(ANY),
        deadline,
        is_needed,
        || (),
    ) {
        Parked::Woken => Ok(0),
        Parked::TimedOut => Err(libc::ETIMEDOUT),
        Parked::NotNeeded => Err(libc::EAGAIN),
    }
}

fn own_wake(
    address: usize,
    mask: u32,
    most: u32,
    kernel: impl FnOnce() -> Answer<c_long>,
) -> Answer<c_long> {
    // As the kernel takes it.
    let wanted = usize::try_from((most as c_int).max(1)).unwrap_or(1);
    let green = || wake(address, mask, wanted);
    if wanted > 1 {
        let woken = green();
        return Ok(woken as c_long + kernel()?);
    }
    // Green threads and OS threads by turns, so that neither waits for ever behind the others.
    static TURN: AtomicBool = AtomicBool::new(false);
    match TURN.fetch_not(Ordering::Relaxed) {
        true => match green() {
            0 => kernel(),
            woken => Ok(woken as c_long),
        },
        false => match kernel()? {
            0 => Ok(green() as c_long),
            woken => Ok(woken),
        },
    }
}
