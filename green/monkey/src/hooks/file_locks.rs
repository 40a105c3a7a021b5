//! flock(2), fcntl(2): locks of files are waited for by naps, and a change of the terms on which calls wait is noted.
#![expect(unsafe_code, reason = "hooks")]

use std::ffi::c_int;

use greenhub::Deadline;
use greenhub::foreign;

use super::naps::Naps;
use super::terms;
use crate::Patch;
use crate::answer::{Answer, of};
use crate::gate;

hooks! {
    is_on(Patch::OS) fn flock(fd: c_int, operation: c_int) -> c_int = own_flock;
    is_on_anywhere(Patch::all()) fn fcntl64(fd: c_int, command: c_int, argument: usize) -> c_int = own_fcntl;
    + is_on_anywhere(Patch::all()) fn fcntl(fd: c_int, command: c_int, argument: usize) -> c_int = own_fcntl;
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
