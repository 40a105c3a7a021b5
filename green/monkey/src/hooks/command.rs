//! std's `Command`, where std knows no error, or where its error would leave nobody who can wait for the child.
//!
//! - `Command::output` and `Child::wait_with_output` panic if a read of the child's pipes fails. A kill or a limit ends
//!   the pipes for them instead, and makes their wait for the child fail, which they return.
//! - They and `Command::status` return that error without the child, which would stay a zombie. So it is waited for when
//!   they have gone.
//! - `Command::spawn`, and what the others do of it, panics if it cannot learn by a socket whether the program began, or
//!   cannot wait for a child that did not. Neither takes long, so it goes on. The socket is known by its kind.
//!
//! The other callers are known by their functions' frames on the stack, which are looked for only once a kill or a limit
//! has come. One that was inlined is not found: then the error is told.
#![expect(unsafe_code, reason = "waits for a child by number")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::io;
use std::process::{Child, Command, ExitStatus, Output};
use std::ptr::null_mut;
use std::time::Duration;

use greenhub::{Deadline, foreign, green_thread};
use libc::pid_t;

use super::child::End;
use super::descriptor::{Direction, is_unix};
use super::option::option;
use crate::answer::Answer;
use crate::behind::real;

/// A program begins, or fails to, within it.
const START: Duration = Duration::from_secs(1);

type Function = *const ();

/// They read what the child writes.
fn readers() -> [Function; 2] {
    [
        Command::output as fn(&mut Command) -> io::Result<Output> as Function,
        Child::wait_with_output as fn(Child) -> io::Result<Output> as Function,
    ]
}

fn status() -> Function {
    Command::status as fn(&mut Command) -> io::Result<ExitStatus> as Function
}

/// Whether a kill or a limit is due. Not where nobody could have been told: in a signal handler, say.
fn is_interrupted() -> bool {
    foreign::may_park() && foreign::is_interrupted()
}

/// Whether `code` ended a wait because of a kill or a limit.
fn is_interrupt(code: c_int) -> bool {
    matches!(code, libc::ECANCELED | libc::ETIMEDOUT) && is_interrupted()
}

/// Whether `code` is of an interrupt, and the wait was one of these functions'.
fn cuts(code: c_int, functions: &[Function]) -> bool {
    is_interrupt(code) && foreign::is_called_by(functions)
}

// A green thread's own: nothing is patched where neighbours share these.
thread_local! {
    /// The code by which the pipes ended for the running thread; 0 if they did not.
    static ENDED_BY: Cell<c_int> = const { Cell::new(0) };
    /// Whether the running thread has learnt that a child could not begin its program, and has not waited for it.
    static UNBEGUN: Cell<bool> = const { Cell::new(false) };
}

/// Whether a read that failed by `code` is to find the end of the pipe instead.
pub(super) fn ends_pipes(code: c_int) -> bool {
    let ends = cuts(code, &readers());
    if ends {
        ENDED_BY.set(code);
    }
    ends
}

/// The code by which the pipes have ended, for the function that is under way.
pub(super) fn ended_pipes() -> Option<c_int> {
    let code = ENDED_BY.get();
    if code == 0 || cuts(code, &readers()) {
        return (code != 0).then_some(code);
    }
    ENDED_BY.set(0);
    None
}

/// What a new child says if it cannot begin its program: the code, and this.
const FAILED: [u8; 4] = *b"NOEX";
const WORD: usize = 4 + FAILED.len();

/// Goes on with a wait for word from a new child; `received` is what became of it.
///
/// # Safety
///
/// `to` has room for `len` bytes, and what was received.
pub(super) unsafe fn hear_of_the_start(
    received: Answer<isize>,
    fd: c_int,
    to: *const c_void,
    len: usize,
    again: impl FnOnce() -> Answer<isize>,
) -> Answer<isize> {
    if len != WORD || !is_interrupted() || !is_of_a_start(fd) {
        return received;
    }
    let received = match received {
        Err(code) if is_interrupt(code) => {
            match foreign::wait_fd_uncut(fd, Direction::Read, Deadline::after(START)) {
                Ok(true) => again(),
                _ => Err(code),
            }
        }
        received => received,
    };
    if received == Ok(WORD as isize) {
        // SAFETY: as the caller promises.
        let word = unsafe { to.cast::<[u8; WORD]>().read_unaligned() };
        UNBEGUN.set(word.ends_with(&FAILED));
    }
    received
}

/// Whether it is a socket of the kind that std has new children report by: of Unix, with records.
fn is_of_a_start(fd: c_int) -> bool {
    is_unix(fd) && option(fd, libc::SO_TYPE) == Ok(libc::SOCK_SEQPACKET)
}

/// Whether the wait that begins here is for a child that could not begin its program.
pub(super) fn is_unbegun() -> bool {
    UNBEGUN.replace(false)
}

/// Ends a wait for `child`, 0 if that is not known, that failed by `code`: as its caller needs it. It goes on for one that
/// `is_unbegun`.
pub(super) fn wait_cut<R>(
    code: c_int,
    (child, is_unbegun): (pid_t, bool),
    mut end: End,
    attempt: impl Fn() -> Answer<Option<R>>,
) -> Answer<R> {
    let ended = ended_pipes().is_some();
    ENDED_BY.set(0);
    if !ended && !is_unbegun && !cuts(code, &[readers()[0], readers()[1], status()]) {
        return Err(code);
    }
    let patience = if is_unbegun {
        Deadline::NEVER
    } else {
        Deadline::NOW
    };
    loop {
        match attempt()? {
            Some(_) if ended => return Err(code),
            Some(found) => return Ok(found),
            None if end.wait_uncut(patience) => (),
            None => break,
        }
    }
    reap(child, end);
    Err(code)
}

/// Waits for the end of a child that nobody else can wait for. Without memory for it, the child stays until the process
/// ends.
fn reap(child: pid_t, mut end: End) {
    if child <= 0 {
        return;
    }
    let name = "waits for an abandoned child".to_owned();
    let wait = move || {
        // SAFETY: nothing is written. The number is the child's for as long as nobody has waited for it.
        while unsafe { real::waitpid(child, null_mut(), libc::WNOHANG) } == 0
            && end.wait_uncut(Deadline::NEVER)
        {}
    };
    drop(green_thread::Builder::new().name(name).spawn(wait));
}
