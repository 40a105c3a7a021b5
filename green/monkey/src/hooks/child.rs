//! What tells that a child has ended.
#![expect(unsafe_code, reason = "system calls")]

use std::ffi::c_int;

use greenhub::Deadline;
use greenhub::foreign;
use libc::pid_t;

use super::descriptor::Direction;
use super::naps::Naps;
use super::waiting::wait;
use crate::answer::Answer;
use crate::behind::real;

/// Of one child, or of several.
pub(super) enum End {
    /// A descriptor of ours, or the caller's.
    Of { fd: c_int, ours: bool },
    /// Of several children nothing does.
    Unannounced(Naps),
}

impl End {
    /// Of the one child, unless more than its end is waited for.
    pub(super) fn of(child: pid_t, options: c_int) -> End {
        if child > 0 && options & (libc::WSTOPPED | libc::WCONTINUED) == 0 {
            // SAFETY: no pointer is passed.
            let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child, 0) } as c_int;
            if fd >= 0 {
                return End::Of { fd, ours: true };
            }
        }
        End::Unannounced(Naps::new())
    }

    pub(super) fn wait(&mut self) -> Answer<bool> {
        match self {
            End::Of { fd, .. } => wait(*fd, Direction::Read, Deadline::NEVER),
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
            unsafe { real::close(fd) };
        }
    }
}
