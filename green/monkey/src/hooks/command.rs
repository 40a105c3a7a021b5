//! std's `Command`, where std knows no error, or where its error would leave nobody who can wait for the child.
//!
//! - `Command::output` and `Child::wait_with_output` panic if a read of the child's pipes fails. A kill or a limit ends
//!   the pipes for them instead, and makes their wait for the child fail, which they return.
//! - They and `Command::status` return that error without the child, which would stay a zombie. So it is waited for when
//!   they have gone.
//! - `Command::spawn`, and what the others do of it, panics if it cannot learn whether the program began, or cannot wait
//!   for a child that did not. Neither takes long, so it goes on.
//!
//! Such a caller is known by its function's frame on the stack, which is looked for only once a kill or a limit has come.
//! One that was inlined is not found: then the error is told.
#![expect(unsafe_code, reason = "waits for a child by number")]

use std::cell::Cell;
use std::ffi::c_int;
use std::io;
use std::process::{Child, Command, ExitStatus, Output};
use std::ptr::null_mut;
use std::time::Duration;

use greenhub::{Deadline, foreign, green_thread};
use libc::pid_t;

use super::process::{End, real};
use crate::answer::Answer;

/// A child that could not begin its program ends within it.
const AT_ONCE: Duration = Duration::from_millis(100);

type Function = *const ();

/// They read what the child writes.
fn readers() -> [Function; 2] {
    [
        Command::output as fn(&mut Command) -> io::Result<Output> as Function,
        Child::wait_with_output as fn(Child) -> io::Result<Output> as Function,
    ]
}

fn spawn() -> Function {
    Command::spawn as fn(&mut Command) -> io::Result<Child> as Function
}

fn status() -> Function {
    Command::status as fn(&mut Command) -> io::Result<ExitStatus> as Function
}

/// Whether `code` ended a wait because of a kill or a limit, and the wait was one of these functions'.
fn cuts(code: c_int, functions: &[Function]) -> bool {
    matches!(code, libc::ECANCELED | libc::ETIMEDOUT)
        && foreign::is_interrupted()
        && foreign::is_called_by(functions)
}

thread_local! {
    /// The code by which the pipes ended for the running thread; 0 if they did not.
    static ENDED_BY: Cell<c_int> = const { Cell::new(0) };
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

/// Whether a wait for word from the new child goes on, though it failed by `code`.
pub(super) fn hears_of_the_start(code: c_int) -> bool {
    let [output, _] = readers();
    cuts(code, &[output, status(), spawn()])
}

/// Ends a wait for `child`, 0 if that is not known, that failed by `code`: as its caller needs it.
pub(super) fn wait_cut<R>(
    code: c_int,
    child: pid_t,
    mut end: End,
    attempt: impl Fn() -> Answer<Option<R>>,
) -> Answer<R> {
    let ended = ended_pipes().is_some();
    ENDED_BY.set(0);
    let patience = if ended {
        Deadline::NOW
    } else if cuts(code, &[spawn()]) {
        Deadline::NEVER
    } else if cuts(code, &[readers()[0], readers()[1], status()]) {
        Deadline::after(AT_ONCE)
    } else {
        return Err(code);
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
