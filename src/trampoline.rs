//! Parks the running thread until a descriptor is ready or a deadline passes.
//!
//! For any descriptor, by number; on a plain OS thread it is a poll(2). Sockets
//! of this crate do not come through here: they are registered once, as a
//! [`Source`](crate::source::Source). A descriptor that is only passing by is registered
//! for the one wait.
//!
//! Somebody may close the descriptor behind our back, and the kernel says
//! nothing (epoll(7), question 6). So waits by number are listed here. They end as
//! closed when a source closes the number, and, of descriptors that others close,
//! when the number is registered anew.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::sys::lock::Lock;

use crate::clock::Nanos;
use crate::error::ClosedLocally;
use crate::hub::wait::give_way;
use crate::source::{Direction, Lines, poll_now};
use crate::wait_queue::{Place, Wake};

/// Parks the running thread, green or OS, until `fd` is ready in `direction`
/// or `deadline` passes; `Ok(false)` is the latter. Without a deadline it waits
/// as long as it takes.
///
/// Ready means that a call is worth a try: the end of a stream and an error
/// count too. A regular file is always ready.
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// use green::source::Direction;
/// use green::{thread, trampoline};
///
/// let (mut ours, mut theirs) = UnixStream::pair().unwrap();
/// let reader = thread::spawn(move || {
///     trampoline(&ours, Direction::Read, None).unwrap();
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
/// EBADF if `fd` is not open. `NotConnected` with
/// [`ClosedLocally`] inside if it was closed during the wait: a descriptor of this
/// library's at once, another's when its number has come to be used for something
/// else. What epoll_ctl(2) says, at a limit of the system.
pub fn trampoline(
    fd: &impl AsRawFd,
    direction: Direction,
    deadline: Option<Instant>,
) -> io::Result<bool> {
    let fd = fd.as_raw_fd();
    if poll_now(fd, direction)? {
        give_way();
        return Ok(true);
    }
    let passing = Passing::register(fd)?;
    let woke = passing
        .lines
        .wait(direction, Nanos::deadline(deadline), Place::Back)?;
    if passing.lines.is_closed() {
        return Err(ClosedLocally.into());
    }
    Ok(woke != Wake::TimedOut)
}

/// [`trampoline`] for reading.
///
/// # Errors
///
/// Those of [`trampoline`].
pub fn wait_readable(fd: &impl AsRawFd, deadline: Option<Instant>) -> io::Result<bool> {
    trampoline(fd, Direction::Read, deadline)
}

/// [`trampoline`] for writing.
///
/// # Errors
///
/// Those of [`trampoline`].
pub fn wait_writable(fd: &impl AsRawFd, deadline: Option<Instant>) -> io::Result<bool> {
    trampoline(fd, Direction::Write, deadline)
}

static PASSING: Lock<Vec<Arc<Lines>>> = Lock::new(Vec::new());
/// Length of the list: a look without the lock.
static PASSING_LEN: AtomicUsize = AtomicUsize::new(0);

/// A descriptor registered for one wait.
struct Passing {
    lines: Arc<Lines>,
}

impl Passing {
    fn register(fd: RawFd) -> io::Result<Passing> {
        let passing = Passing {
            lines: Lines::not_ready(fd),
        };
        // Listed first, so that a close from now on finds it.
        let mut list = PASSING.lock();
        list.push(passing.lines.clone());
        PASSING_LEN.store(list.len(), Ordering::SeqCst);
        drop(list);
        passing.lines.register()?;
        Ok(passing)
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let mut list = PASSING.lock();
        if let Some(at) = list
            .iter()
            .position(|lines| Arc::ptr_eq(lines, &self.lines))
        {
            list.swap_remove(at);
        }
        PASSING_LEN.store(list.len(), Ordering::SeqCst);
        drop(list);
        self.lines.deregister();
    }
}

/// A descriptor's number has been registered: whoever waits for it by number
/// and whose open file is gone has waited long enough.
pub(crate) fn reissued(new: &Arc<Lines>) {
    for lines in waiting_for(new.fd()) {
        if !Arc::ptr_eq(&lines, new) {
            lines.end_if_reissued(new);
        }
    }
}

/// The descriptor `fd` is about to be closed by its owner: nobody waits for it by
/// its number any more.
pub(crate) fn closing(fd: RawFd) {
    waiting_for(fd)
        .iter()
        .for_each(|lines| lines.end_before_close());
}

/// Those who wait for a descriptor by its number.
fn waiting_for(fd: RawFd) -> Vec<Arc<Lines>> {
    if PASSING_LEN.load(Ordering::SeqCst) == 0 {
        return Vec::new();
    }
    let list = PASSING.lock();
    let of_fd = list.iter().filter(|lines| lines.fd() == fd);
    of_fd.cloned().collect()
}
