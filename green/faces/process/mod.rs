//! std's `process` for green threads: children are started on the blocking pool, waited for by pidfd and talked to over
//! green pipes.
//!
//! Neither SIGCHLD nor a helper process is used: a child is reaped by the call that waits for it, as in std, and other
//! code in the process may wait for children of its own.
//!
//! Starting a child takes a quarter of a millisecond, and tens of milliseconds where the process is large and has to be
//! copied (`pre_exec`, `uid`, `gid`), so it happens on the blocking pool. The child's parent *thread* is therefore one
//! of the pool's: see [`CommandExt::pre_exec`](crate::os::unix::process::CommandExt::pre_exec).
//!
//! # Differences from std
//!
//! - [`Child::wait_timeout`] and [`Child::communicate`] are additions.
//! - A kernel without pidfd_open(2) (before 5.3), or one that has no descriptor left, makes waiting look for the
//!   child's end every 1 to 20 ms instead.

mod child;
mod command;

pub use std::process::{
    CommandArgs, CommandEnvs, ExitCode, ExitStatus, Output, Stdio, Termination, abort, id,
};

pub use greenhub::exit;

pub use child::{Child, ChildStderr, ChildStdin, ChildStdout, TimeoutExpired};
pub use command::Command;
