//! C's condition variables, C++'s among them.
//!
//! A green thread is parked by the variable's address before it lets go of the mutex, so no signal
//! is lost. A signal wakes one of them and one OS thread: it may wake more than one.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

use greenhub::Deadline;
use greenhub::foreign;
use libc::{clockid_t, pthread_cond_t, pthread_mutex_t, timespec};

use super::locks::{own_mutex_lock, own_mutex_unlock};
use super::parked::{ANY, Parked, park, wake};
use super::time::{duration, until};
use crate::Patch;
use crate::answer::Plain;

hooks! {
    is_on(Patch::THREAD) fn pthread_cond_wait(condition: *mut pthread_cond_t, lock: *mut pthread_mutex_t) -> c_int
        = own_wait;
    is_on(Patch::THREAD) fn pthread_cond_timedwait(
        condition: *mut pthread_cond_t, lock: *mut pthread_mutex_t, at: *const timespec
    ) -> c_int = own_timedwait;
    is_on(Patch::THREAD) fn pthread_cond_clockwait(
        condition: *mut pthread_cond_t, lock: *mut pthread_mutex_t, clock: clockid_t, at: *const timespec
    ) -> c_int = own_clockwait;
    is_on_anywhere(Patch::THREAD) fn pthread_cond_signal(condition: *mut pthread_cond_t) -> c_int = own_signal;
    is_on_anywhere(Patch::THREAD) fn pthread_cond_broadcast(condition: *mut pthread_cond_t) -> c_int = own_broadcast;
}

/// Which bit of which byte says that a variable's times are of CLOCK_MONOTONIC: byte * 256 + bit.
static CLOCK: AtomicUsize = AtomicUsize::new(UNKNOWN);
const UNKNOWN: usize = usize::MAX;

/// Finds where a variable keeps its clock: two new ones with different clocks differ in nothing
/// else.
pub(crate) fn find_clock() {
    let fresh = |clock: clockid_t| {
        let mut attributes = MaybeUninit::<libc::pthread_condattr_t>::uninit();
        let mut condition = MaybeUninit::<[u8; size_of::<pthread_cond_t>()]>::zeroed();
        // SAFETY: each is initialised before it is used.
        unsafe {
            libc::pthread_condattr_init(attributes.as_mut_ptr());
            libc::pthread_condattr_setclock(attributes.as_mut_ptr(), clock);
            libc::pthread_cond_init(condition.as_mut_ptr().cast(), attributes.as_ptr());
            libc::pthread_condattr_destroy(attributes.as_mut_ptr());
            condition.assume_init()
        }
    };
    let (real, monotonic) = (fresh(libc::CLOCK_REALTIME), fresh(libc::CLOCK_MONOTONIC));
    let mut differing = (0..real.len()).filter(|&at| real[at] != monotonic[at]);
    if let (Some(at), None) = (differing.next(), differing.next()) {
        let bit = real[at] ^ monotonic[at];
        CLOCK.store(
            at * 256 + usize::from(bit & monotonic[at]),
            Ordering::Relaxed,
        );
    }
}

/// # Safety
///
/// The caller's variable and lock.
unsafe fn wait_until(
    condition: *mut pthread_cond_t,
    lock: *mut pthread_mutex_t,
    deadline: Deadline,
) -> Plain<c_int> {
    // SAFETY: the caller holds the lock.
    let let_go = || unsafe {
        own_mutex_unlock(lock);
    };
    let woke = park(
        "condition",
        condition as usize,
        ANY,
        deadline,
        || true,
        let_go,
    );
    // SAFETY: the caller's.
    let Plain(locked) = unsafe { own_mutex_lock(lock) };
    Plain(match woke {
        _ if locked != 0 => locked,
        Parked::TimedOut => libc::ETIMEDOUT,
        _ => 0,
    })
}

unsafe fn own_wait(condition: *mut pthread_cond_t, lock: *mut pthread_mutex_t) -> Plain<c_int> {
    // SAFETY: the caller's.
    unsafe {
        match foreign::may_park() {
            true => wait_until(condition, lock, Deadline::NEVER),
            false => Plain(real::pthread_cond_wait(condition, lock)),
        }
    }
}

/// # Safety
///
/// The caller's variable, lock and time.
unsafe fn wait_by(
    condition: *mut pthread_cond_t,
    lock: *mut pthread_mutex_t,
    clock: Option<clockid_t>,
    at: *const timespec,
    block: impl FnOnce() -> c_int,
) -> Plain<c_int> {
    // SAFETY: the caller's, or null.
    let time = unsafe { at.as_ref() }.and_then(duration);
    match (time, clock) {
        (Some(time), Some(clock)) if foreign::may_park() => {
            let deadline = Deadline::after(until(clock, time));
            // SAFETY: the caller's.
            unsafe { wait_until(condition, lock, deadline) }
        }
        _ => Plain(block()),
    }
}

unsafe fn own_timedwait(
    condition: *mut pthread_cond_t,
    lock: *mut pthread_mutex_t,
    at: *const timespec,
) -> Plain<c_int> {
    let clock = match CLOCK.load(Ordering::Relaxed) {
        UNKNOWN => None,
        place => {
            // SAFETY: a byte of the caller's variable.
            let byte = unsafe { condition.cast::<u8>().add(place / 256).read_volatile() };
            Some(match byte & (place % 256) as u8 {
                0 => libc::CLOCK_REALTIME,
                _ => libc::CLOCK_MONOTONIC,
            })
        }
    };
    // SAFETY: the caller's.
    unsafe {
        let block = || real::pthread_cond_timedwait(condition, lock, at);
        wait_by(condition, lock, clock, at, block)
    }
}

unsafe fn own_clockwait(
    condition: *mut pthread_cond_t,
    lock: *mut pthread_mutex_t,
    clock: clockid_t,
    at: *const timespec,
) -> Plain<c_int> {
    let known = [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC].contains(&clock);
    // SAFETY: the caller's.
    unsafe {
        let block = || real::pthread_cond_clockwait(condition, lock, clock, at);
        wait_by(condition, lock, known.then_some(clock), at, block)
    }
}

unsafe fn own_signal(condition: *mut pthread_cond_t) -> Plain<c_int> {
    wake(condition as usize, ANY, 1);
    // SAFETY: the caller's.
    Plain(unsafe { real::pthread_cond_signal(condition) })
}

unsafe fn own_broadcast(condition: *mut pthread_cond_t) -> Plain<c_int> {
    wake(condition as usize, ANY, usize::MAX);
    // SAFETY: the caller's.
    Plain(unsafe { real::pthread_cond_broadcast(condition) })
}
