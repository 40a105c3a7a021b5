//! What hooks ask of a descriptor, and how one is kept from blocking for a single call.
#![expect(unsafe_code, reason = "system calls")]

use std::ffi::{c_int, c_short};
use std::time::Duration;

use greenhub::Deadline;
pub(super) use greenhub::source::Direction;
use greenhub::wait_queue::ShortLock;

use super::option::option;
use crate::answer::{Answer, of};
use crate::behind::real;

pub(super) fn flags(fd: c_int) -> Answer<c_int> {
    // SAFETY: no pointer is passed.
    of(unsafe { real::fcntl(fd, libc::F_GETFL, 0) })
}

/// Held while somebody has set O_NONBLOCK for one call. There is one lock for all descriptors,
/// since an open file can have several numbers.
static GAME: ShortLock<()> = ShortLock::new(());

/// Makes a call on a descriptor that is non-blocking for the length of this call. If the program
/// has made it non-blocking itself, it stays so.
pub(super) fn without_blocking<R>(fd: c_int, call: impl FnOnce() -> Answer<R>) -> Answer<R> {
    let _one_at_a_time = GAME.lock();
    let before = flags(fd)?;
    if before & libc::O_NONBLOCK != 0 {
        return call();
    }
    let set = |flags: c_int| {
        // SAFETY: no pointer is passed.
        of(unsafe { real::fcntl(fd, libc::F_SETFL, flags as usize) })
    };
    set(before | libc::O_NONBLOCK)?;
    let answer = call();
    let _ = set(before);
    answer
}

/// Whether the program itself has asked for calls that do not wait.
pub(super) fn is_nonblocking(fd: c_int) -> bool {
    let is_set = || flags(fd).is_ok_and(|flags| flags & libc::O_NONBLOCK != 0);
    is_set() && {
        // Now nobody plays.
        let _nobody_plays = GAME.lock();
        is_set()
    }
}

/// How long a call in this direction may take: SO_RCVTIMEO or SO_SNDTIMEO.
pub(super) fn limit_in(fd: c_int, direction: Direction) -> Option<Duration> {
    limit_of_socket(fd, direction).ok().flatten()
}

/// As [`limit_in`]; an error if `fd` is no socket.
pub(super) fn limit_of_socket(fd: c_int, direction: Direction) -> Answer<Option<Duration>> {
    let option = match direction {
        Direction::Read => libc::SO_RCVTIMEO,
        Direction::Write => libc::SO_SNDTIMEO,
    };
    let mut time = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    let mut len = size_of::<libc::timeval>() as libc::socklen_t;
    // SAFETY: `time` and `len` live across the call, and fit together.
    of(unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            option,
            (&raw mut time).cast(),
            &mut len,
        )
    })?;
    let limit = Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_usec).unwrap_or(0) * 1_000,
    );
    Ok((!limit.is_zero()).then_some(limit))
}

/// Until when a call in this direction may wait that begins now.
pub(super) fn deadline_in(fd: c_int, direction: Direction) -> Deadline {
    Deadline::within(limit_in(fd, direction))
}

/// Whether a call in this direction is worth a try.
pub(super) fn is_ready(fd: c_int, direction: Direction) -> bool {
    let events: c_short = match direction {
        Direction::Read => libc::POLLIN,
        Direction::Write => libc::POLLOUT,
    };
    let mut entry = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: one entry, which lives across the call.
    unsafe { real::poll(&mut entry, 1, 0) != 0 }
}

/// Files on a disk: they are always ready, and may wait for the disk all the same.
pub(super) fn is_on_a_disk(fd: c_int) -> bool {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel fills it in, which is looked at first.
    let kind = unsafe {
        match libc::fstat(fd, stat.as_mut_ptr()) {
            0 => stat.assume_init().st_mode & libc::S_IFMT,
            _ => return false,
        }
    };
    [libc::S_IFREG, libc::S_IFBLK, libc::S_IFDIR].contains(&kind)
}

/// Whether `fd` is a socket of Unix's.
pub(super) fn is_unix(fd: c_int) -> bool {
    option(fd, libc::SO_DOMAIN) == Ok(libc::AF_UNIX)
}
