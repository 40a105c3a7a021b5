//! Raw system calls as safe functions: the only place, with the engine, where we talk to libc.
//!
//! Every function takes borrowed descriptors, turns `-1` into `io::Error`, and
//! does nothing else: no retry, no policy.
#![expect(unsafe_code, reason = "system calls")]

#[cfg(all(target_env = "gnu", target_pointer_width = "64"))]
pub(crate) mod destructors;
pub(crate) mod epoll;
pub(crate) mod eventfd;
pub(crate) mod fd;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod pipe;
pub(crate) mod poll;
mod raw;
pub(crate) mod signal;
#[cfg_attr(
    not(feature = "backtrace"),
    expect(dead_code, reason = "nobody unwinds what is copied")
)]
pub(crate) mod snapshot;
pub(crate) mod socket;
pub(crate) mod symbols;
pub(crate) mod system_call;
pub(crate) mod thread_end;
pub(crate) mod unwind;
#[cfg(not(feature = "engine-may"))]
pub(crate) mod valgrind;
#[cfg(feature = "sim")]
pub(crate) mod virtual_time;

use std::io;

/// `-1` becomes the error that `errno` names.
pub(crate) fn cvt(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The calling OS thread's `errno`.
// Never inlined, so that its address is taken anew after a wait.
#[inline(never)]
pub(crate) fn errno() -> i32 {
    // SAFETY: the address is the calling OS thread's own and always valid.
    unsafe { *libc::__errno_location() }
}

#[inline(never)]
pub(crate) fn set_errno(code: i32) {
    // SAFETY: as in `errno`.
    unsafe { *libc::__errno_location() = code };
}

/// CLOCK_MONOTONIC in nanoseconds, read without a system call.
#[inline]
pub(crate) fn clock() -> u64 {
    nanoseconds_of(libc::CLOCK_MONOTONIC)
}

/// CLOCK_MONOTONIC_COARSE in nanoseconds: the time of the kernel's last tick, at a
/// quarter of the cost.
#[inline]
pub(crate) fn coarse_clock() -> u64 {
    nanoseconds_of(libc::CLOCK_MONOTONIC_COARSE)
}

#[inline]
fn nanoseconds_of(clock: libc::clockid_t) -> u64 {
    let mut spec = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `spec` lives across the call.
    unsafe { libc::clock_gettime(clock, &mut spec) };
    spec.tv_sec as u64 * 1_000_000_000 + spec.tv_nsec as u64
}

/// CPU time that the calling OS thread has used.
pub(crate) fn thread_cpu_time() -> std::time::Duration {
    let mut spec = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `spec` lives across the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut spec) };
    std::time::Duration::new(spec.tv_sec as u64, spec.tv_nsec as u32)
}
