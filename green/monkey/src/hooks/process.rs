//! Waiting for child processes.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::c_int;

use greenhub::foreign;
use libc::{id_t, idtype_t, pid_t, rusage, siginfo_t};

use super::child::End;
use super::command;
use super::naps::Naps;
use crate::Patch;
use crate::answer::{Answer, of};

hooks! {
    is_on(Patch::SUBPROCESS) fn wait(status: *mut c_int) -> pid_t = own_wait;
    is_on(Patch::SUBPROCESS) fn wait4(child: pid_t, status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t
        = own_wait4;
    is_on(Patch::SUBPROCESS) fn waitid(kind: idtype_t, id: id_t, info: *mut siginfo_t, options: c_int) -> c_int
        = own_waitid;
    + is_on(Patch::SUBPROCESS) fn waitpid(child: pid_t, status: *mut c_int, options: c_int) -> pid_t = own_waitpid;
}

/// Looks without waiting, and parks until it is worth another look. `attempt` gives None while
/// there is nothing; `child` is the one that is waited for, or 0.
fn look<R>(
    child: pid_t,
    options: c_int,
    attempt: impl Fn() -> Answer<Option<R>>,
    end: impl FnOnce() -> End,
    block: impl FnOnce() -> Answer<R>,
) -> Answer<R> {
    if options & libc::WNOHANG != 0 {
        return block();
    }
    let child = (child, command::is_unbegun());
    if let Some(code) = command::ended_pipes() {
        return command::wait_cut(code, child, end(), attempt);
    }
    if let Some(found) = attempt()? {
        return Ok(found);
    }
    if !foreign::may_park() {
        return block();
    }
    let mut end = end();
    loop {
        if let Err(code) = end.wait() {
            return command::wait_cut(code, child, end, attempt);
        }
        if let Some(found) = attempt()? {
            return Ok(found);
        }
    }
}

unsafe fn own_waitpid(child: pid_t, status: *mut c_int, options: c_int) -> Answer<pid_t> {
    // SAFETY: the caller's.
    let call = |options| unsafe { of(real::waitpid(child, status, options)) };
    let attempt = || call(options | libc::WNOHANG).map(|found| (found != 0).then_some(found));
    look(
        child,
        options,
        attempt,
        || End::of(child, options),
        || call(options),
    )
}

unsafe fn own_wait(status: *mut c_int) -> Answer<pid_t> {
    // SAFETY: the caller's.
    unsafe { own_waitpid(-1, status, 0) }
}

unsafe fn own_wait4(
    child: pid_t,
    status: *mut c_int,
    options: c_int,
    usage: *mut rusage,
) -> Answer<pid_t> {
    // SAFETY: the caller's.
    let call = |options| unsafe { of(real::wait4(child, status, options, usage)) };
    let attempt = || call(options | libc::WNOHANG).map(|found| (found != 0).then_some(found));
    look(
        child,
        options,
        attempt,
        || End::of(child, options),
        || call(options),
    )
}

unsafe fn own_waitid(
    kind: idtype_t,
    id: id_t,
    info: *mut siginfo_t,
    options: c_int,
) -> Answer<c_int> {
    // SAFETY: the caller's.
    let call = |info, options| unsafe { of(real::waitid(kind, id, info, options)) };
    // SAFETY: numbers.
    let mut blank: siginfo_t = unsafe { std::mem::zeroed() };
    let info = if info.is_null() { &raw mut blank } else { info };
    let attempt = || {
        // SAFETY: the caller's or ours; without a child the kernel says so by zeros, or nothing.
        unsafe {
            (*info).si_signo = 0;
            call(info, options | libc::WNOHANG)?;
            Ok(((*info).si_signo != 0).then_some(0))
        }
    };
    let end = || match kind {
        libc::P_PIDFD => End::Of {
            fd: id as c_int,
            ours: false,
        },
        libc::P_PID => End::of(id as pid_t, options),
        _ => End::Unannounced(Naps::new()),
    };
    let child = if kind == libc::P_PID { id as pid_t } else { 0 };
    look(child, options, attempt, end, || call(info, options))
}
