//! Waiting for child processes, and for locks of files.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::c_int;

use greenhub::Deadline;
use greenhub::foreign;
use libc::{id_t, idtype_t, pid_t, rusage, siginfo_t};

use super::command;
use super::terms;
use super::waiting::{self, Direction, Naps};
use crate::Patch;
use crate::answer::{Answer, of};
use crate::gate;

hooks! {
    is_on(Patch::SUBPROCESS) fn waitpid(child: pid_t, status: *mut c_int, options: c_int) -> pid_t = own_waitpid;
    is_on(Patch::SUBPROCESS) fn wait(status: *mut c_int) -> pid_t = own_wait;
    is_on(Patch::SUBPROCESS) fn wait4(child: pid_t, status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t
        = own_wait4;
    is_on(Patch::SUBPROCESS) fn waitid(kind: idtype_t, id: id_t, info: *mut siginfo_t, options: c_int) -> c_int
        = own_waitid;
    is_on(Patch::OS) fn flock(fd: c_int, operation: c_int) -> c_int = own_flock;
    is_on_anywhere(Patch::all()) fn fcntl(fd: c_int, command: c_int, argument: usize) -> c_int = own_fcntl;
    is_on_anywhere(Patch::all()) fn fcntl64(fd: c_int, command: c_int, argument: usize) -> c_int = own_fcntl;
}

/// What tells that a child has ended.
pub(super) enum End {
    /// A descriptor of ours, or the caller's.
    Of { fd: c_int, ours: bool },
    /// Of several children nothing does.
    Unannounced(Naps),
}

impl End {
    /// Of the one child, unless more than its end is waited for.
    fn of(child: pid_t, options: c_int) -> End {
        if child > 0 && options & (libc::WSTOPPED | libc::WCONTINUED) == 0 {
            // SAFETY: no pointer is passed.
            let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child, 0) } as c_int;
            if fd >= 0 {
                return End::Of { fd, ours: true };
            }
        }
        End::Unannounced(Naps::new())
    }

    fn wait(&mut self) -> Answer<bool> {
        match self {
            End::Of { fd, .. } => waiting::wait(*fd, Direction::Read, Deadline::NEVER),
            End::Unannounced(naps) => naps.nap(Deadline::NEVER),
        }
    }

    /// Neither a kill nor a limit ends it. False if `deadline` has passed.
    pub(super) fn wait_uncut(&mut self, deadline: Deadline) -> bool {
        match self {
            End::Of { fd, .. } => {
                foreign::wait_fd_uncut(*fd, Direction::Read, deadline).unwrap_or(false)
            }
            End::Unannounced(naps) => naps.nap_uncut("child", deadline),
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let End::Of { fd, ours: true } = *self {
            foreign::closing(fd);
            // SAFETY: ours, and used no more.
            unsafe { super::close::real::close(fd) };
        }
    }
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

unsafe fn own_flock(fd: c_int, operation: c_int) -> Answer<c_int> {
    // SAFETY: no pointer is passed.
    let call = |operation| unsafe { of(real::flock(fd, operation)) };
    if operation & (libc::LOCK_NB | libc::LOCK_UN) != 0 {
        return call(operation);
    }
    lock_of_a_file(|| call(operation | libc::LOCK_NB), || call(operation))
}

unsafe fn own_fcntl(fd: c_int, command: c_int, argument: usize) -> Answer<c_int> {
    // SAFETY: the caller's.
    let call = |command| unsafe { of(real::fcntl(fd, command, argument)) };
    let locks = gate::switched_on().contains(Patch::OS);
    let at_once = match command {
        libc::F_SETLKW if locks => libc::F_SETLK,
        libc::F_OFD_SETLKW if locks => libc::F_OFD_SETLK,
        libc::F_SETFL => {
            let answer = call(command);
            terms::changed(fd);
            return answer;
        }
        _ => return call(command),
    };
    lock_of_a_file(|| call(at_once), || call(command))
}

/// No event tells that a file's lock is free.
fn lock_of_a_file(
    attempt: impl Fn() -> Answer<c_int>,
    block: impl FnOnce() -> Answer<c_int>,
) -> Answer<c_int> {
    let mut naps = Naps::new();
    loop {
        match attempt() {
            Err(libc::EAGAIN | libc::EACCES) if foreign::may_park() => naps.nap(Deadline::NEVER)?,
            Err(libc::EAGAIN | libc::EACCES) => return block(),
            done => return done,
        };
    }
}
