//! Sleeping, and sched_yield(2). A sleep that a kill or a limit ends returns early, as if it were
//! over: code that sleeps expects no other error than EINTR, and then sleeps on. Later sleeps last, so
//! that a loop which goes on all the same rests as it means to.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::{c_int, c_uint};
use std::time::Duration;

use greenhub::Deadline;
use greenhub::foreign;
use libc::{clockid_t, timespec, useconds_t};

use crate::Patch;
use crate::answer::{Answer, Plain, of};

hooks! {
    is_on(Patch::TIME) fn nanosleep(wanted: *const timespec, left: *mut timespec) -> c_int = own_nanosleep;
    is_on(Patch::TIME) fn clock_nanosleep(
        clock: clockid_t, flags: c_int, wanted: *const timespec, left: *mut timespec
    ) -> c_int = own_clock_nanosleep;
    is_on(Patch::TIME) fn usleep(wanted: useconds_t) -> c_int = own_usleep;
    is_on(Patch::TIME) fn sleep(wanted: c_uint) -> c_uint = own_sleep;
    is_on(Patch::TIME) fn sched_yield() -> c_int = own_sched_yield;
}

/// None for what the kernel calls invalid.
pub(super) fn duration(time: &timespec) -> Option<Duration> {
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanos = u32::try_from(time.tv_nsec)
        .ok()
        .filter(|&nanos| nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos))
}

/// What is left until `time` of a clock, by now.
pub(super) fn until(clock: clockid_t, time: Duration) -> Duration {
    let mut now = timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` lives across the call.
    unsafe { libc::clock_gettime(clock, &mut now) };
    time.saturating_sub(duration(&now).unwrap_or_default())
}

fn nap(wanted: Duration) {
    if wanted.is_zero() {
        return foreign::yield_now();
    }
    let _ = foreign::sleep(Deadline::after(wanted));
}

unsafe fn own_nanosleep(wanted: *const timespec, left: *mut timespec) -> Answer<c_int> {
    // SAFETY: the caller's, or null.
    match unsafe { wanted.as_ref() }.and_then(duration) {
        Some(wanted) if foreign::may_park() => {
            nap(wanted);
            Ok(0)
        }
        // SAFETY: the caller's.
        _ => of(unsafe { real::nanosleep(wanted, left) }),
    }
}

unsafe fn own_clock_nanosleep(
    clock: clockid_t,
    flags: c_int,
    wanted: *const timespec,
    left: *mut timespec,
) -> Plain<c_int> {
    let known = [
        libc::CLOCK_REALTIME,
        libc::CLOCK_MONOTONIC,
        libc::CLOCK_BOOTTIME,
    ];
    // SAFETY: the caller's, or null.
    let time = unsafe { wanted.as_ref() }.and_then(duration);
    match time.filter(|_| known.contains(&clock) && foreign::may_park()) {
        Some(time) => {
            nap(match flags & libc::TIMER_ABSTIME {
                0 => time,
                _ => until(clock, time),
            });
            Plain(0)
        }
        // SAFETY: the caller's.
        None => Plain(unsafe { real::clock_nanosleep(clock, flags, wanted, left) }),
    }
}

unsafe fn own_usleep(wanted: useconds_t) -> Answer<c_int> {
    if !foreign::may_park() {
        // SAFETY: no pointer is passed.
        return of(unsafe { real::usleep(wanted) });
    }
    nap(Duration::from_micros(wanted.into()));
    Ok(0)
}

unsafe fn own_sleep(wanted: c_uint) -> Plain<c_uint> {
    if !foreign::may_park() {
        // SAFETY: no pointer is passed.
        return Plain(unsafe { real::sleep(wanted) });
    }
    nap(Duration::from_secs(wanted.into()));
    Plain(0)
}

unsafe fn own_sched_yield() -> Answer<c_int> {
    if !foreign::may_park() {
        // SAFETY: no pointer is passed.
        return of(unsafe { real::sched_yield() });
    }
    foreign::yield_now();
    Ok(0)
}
