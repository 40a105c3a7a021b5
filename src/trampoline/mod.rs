//! Parks the running thread until a descriptor is ready or a deadline passes.
//!
//! For any descriptor, by number; on a plain OS thread it is a poll(2). Sockets
//! of this crate do not come through here: they are registered once, as a
//! [`Source`](crate::source::Source). Any other descriptor is [watched](watch) only while somebody
//! waits.

use std::io;
use std::os::fd::AsRawFd;

use crate::deadline::Deadline;
use crate::direction::{Direction, poll_now};
use crate::error::ClosedLocally;
use crate::hub::current;
use crate::hub::wait::give_way;

pub(crate) mod watch;

use watch::Watched;

/// Parks the running thread, green or OS, until `fd` is ready in `direction`
/// or `deadline` passes; `Ok(false)` is the latter.
///
/// Ready means that a call is worth a try: the end of a stream and an error
/// count too. A regular file is always ready.
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// use green::source::Direction;
/// use green::{Deadline, thread, trampoline};
///
/// let (mut ours, mut theirs) = UnixStream::pair().unwrap();
/// let reader = thread::spawn(move || {
///     trampoline(&ours, Direction::Read, Deadline::NEVER).unwrap();
///     let mut byte = [0];
///     ours.read(&mut byte).unwrap();
///     byte[0]
/// });
/// theirs.write_all(&[7]).unwrap();
/// assert_eq!(reader.join().unwrap(), 7);
/// ```
///
/// # Errors
///
/// EBADF if `fd` is not open. `NotConnected` with [`ClosedLocally`] inside if it was closed during
/// the wait: at once for a descriptor of this library, for any other when its number is used for
/// something else. The errors of epoll_ctl(2), at a limit of the system.
pub fn trampoline(fd: &impl AsRawFd, direction: Direction, deadline: Deadline) -> io::Result<bool> {
    let fd = fd.as_raw_fd();
    let polled = poll_now(fd, direction);
    if !matches!(polled, Ok(false)) {
        give_way();
        return polled;
    }
    let waited = watch::wait(fd, direction, deadline, None, false);
    match waited.inspect_err(|_| give_way())? {
        Ok(Watched::Closed) => {
            // It may have been closed before, and then there was no wait.
            give_way();
            Err(ClosedLocally.into())
        }
        Ok(Watched::Ready) => Ok(true),
        Ok(Watched::TimedOut) => Ok(false),
        Err(interrupt) => current::with(|task| task.raise(interrupt)),
    }
}

/// [`trampoline`] for reading.
///
/// # Errors
///
/// Those of [`trampoline`].
pub fn wait_readable(fd: &impl AsRawFd, deadline: Deadline) -> io::Result<bool> {
    trampoline(fd, Direction::Read, deadline)
}

/// [`trampoline`] for writing.
///
/// # Errors
///
/// Those of [`trampoline`].
pub fn wait_writable(fd: &impl AsRawFd, deadline: Deadline) -> io::Result<bool> {
    trampoline(fd, Direction::Write, deadline)
}
