//! std's `os::unix::process`: settings of child processes that only Unix has.
//!
//! # Safety
//!
//! The only unsafe function passes its caller's promise on to std.
#![expect(unsafe_code, reason = "pre_exec is unsafe in std")]

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as StdCommandExt;

use crate::process::Command;

pub use std::os::unix::process::{ExitStatusExt, parent_id};

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::process::Command {}
}

/// Unix's additions to [`Command`]. Sealed, as std's trait of this name is.
///
/// # Differences from std
///
/// `before_exec`, deprecated since 1.37, is missing.
///
/// # Examples
///
/// ```
/// use green::os::unix::process::CommandExt;
/// use green::process::Command;
///
/// let output = Command::new("sh").args(["-c", "echo $0"]).arg0("another-name").output()?;
/// assert_eq!(output.stdout, b"another-name\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait CommandExt: sealed::Sealed {
    /// Sets the child's user.
    fn uid(&mut self, id: u32) -> &mut Command;

    /// Sets the child's group.
    fn gid(&mut self, id: u32) -> &mut Command;

    /// Runs `f` in the child, between fork(2) and execve(2). Several run in the order they were added; an error of one
    /// is what `spawn` returns.
    ///
    /// # Differences from std
    ///
    /// The thread that forks belongs to the blocking pool, whose threads end when they have been idle for a while: a
    /// child that asks for a signal at its parent's death (PR_SET_PDEATHSIG, which means the parent *thread*) may get
    /// it early.
    ///
    /// # Safety
    ///
    /// The process has several threads, so `f` may only do what is allowed in a signal handler: no allocation, no lock,
    /// and no call of this crate.
    unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static;

    /// Replaces this process, all its threads and green threads, by the program. Returns only if that fails.
    ///
    /// As in std, a failed attempt leaves SIGPIPE with its default action, to end the process.
    fn exec(&mut self) -> io::Error;

    /// Sets the child's `argv[0]`, which otherwise is the program as given.
    fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command;

    /// Puts the child into a process group; 0 makes it the first of a new one.
    fn process_group(&mut self, pgroup: i32) -> &mut Command;
}

impl CommandExt for Command {
    fn uid(&mut self, id: u32) -> &mut Command {
        self.inner_mut().uid(id);
        self
    }

    fn gid(&mut self, id: u32) -> &mut Command {
        self.inner_mut().gid(id);
        self
    }

    unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: the caller promises of `f` what std asks for.
        unsafe { self.inner_mut().pre_exec(f) };
        self
    }

    fn exec(&mut self) -> io::Error {
        // Not on a hub: the new program would inherit the signals that hubs keep away from themselves.
        self.on_pool(StdCommandExt::exec)
    }

    fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
        self.inner_mut().arg0(arg);
        self
    }

    fn process_group(&mut self, pgroup: i32) -> &mut Command {
        self.inner_mut().process_group(pgroup);
        self
    }
}
