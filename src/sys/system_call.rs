//! The system call in which an OS thread stands, as the kernel tells it.

use std::fs;

/// Longer than a system-call instruction. A call that is to be made again after a signal has its
/// program counter set back by one.
const INSTRUCTION: usize = 4;

/// A system call that has not returned yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SystemCall {
    number: i64,
    /// Where it returns to.
    pc: usize,
}

impl SystemCall {
    /// That of an OS thread of this process; `None` if the thread is in none, or the system does
    /// not tell.
    pub(crate) fn of(thread: usize) -> Option<SystemCall> {
        SystemCall::parse(&fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).ok()?)
    }

    /// Its number, its arguments, the stack pointer and the program counter. A thread that runs has
    /// `running`, one that waits outside of a call has -1 and no arguments.
    fn parse(text: &str) -> Option<SystemCall> {
        let mut words = text.split_ascii_whitespace();
        let number = words.next()?.parse().ok().filter(|&number| number >= 0)?;
        let pc = words.last()?.strip_prefix("0x")?;
        let pc = usize::from_str_radix(pc, 16).ok()?;
        Some(SystemCall { number, pc })
    }

    /// Whether a thread that was interrupted in this call would be at `pc`.
    pub(crate) fn is_at(self, pc: usize) -> bool {
        self.pc.wrapping_sub(pc) <= INSTRUCTION
    }

    /// `None` for those that do not wait.
    pub(crate) fn name(self) -> Option<&'static str> {
        let known = WAITING.iter().find(|(number, _)| *number == self.number);
        known.map(|&(_, name)| name)
    }
}

macro_rules! named {
    ($($(#[$which:meta])* $number:ident $name:literal)*) => {
        &[$($(#[$which])* (libc::$number, $name)),*]
    };
}

/// Those that may wait for long.
const WAITING: &[(i64, &str)] = named! {
    SYS_accept "accept"
    SYS_accept4 "accept4"
    SYS_clock_nanosleep "clock_nanosleep"
    SYS_close "close"
    SYS_connect "connect"
    SYS_copy_file_range "copy_file_range"
    SYS_epoll_pwait "epoll_pwait"
    SYS_epoll_pwait2 "epoll_pwait2"
    #[cfg(target_arch = "x86_64")]
    SYS_epoll_wait "epoll_wait"
    SYS_fallocate "fallocate"
    SYS_fcntl "fcntl"
    SYS_fdatasync "fdatasync"
    SYS_flock "flock"
    SYS_fsync "fsync"
    SYS_ftruncate "ftruncate"
    SYS_futex "futex"
    SYS_getdents64 "getdents64"
    SYS_getrandom "getrandom"
    SYS_io_getevents "io_getevents"
    SYS_io_uring_enter "io_uring_enter"
    SYS_ioctl "ioctl"
    SYS_madvise "madvise"
    SYS_mmap "mmap"
    SYS_mq_timedreceive "mq_timedreceive"
    SYS_mq_timedsend "mq_timedsend"
    SYS_msgrcv "msgrcv"
    SYS_msgsnd "msgsnd"
    SYS_msync "msync"
    SYS_munmap "munmap"
    SYS_nanosleep "nanosleep"
    #[cfg(target_arch = "x86_64")]
    SYS_newfstatat "newfstatat"
    SYS_openat "openat"
    #[cfg(target_arch = "x86_64")]
    SYS_open "open"
    #[cfg(target_arch = "x86_64")]
    SYS_pause "pause"
    #[cfg(target_arch = "x86_64")]
    SYS_poll "poll"
    SYS_ppoll "ppoll"
    SYS_pread64 "pread64"
    SYS_preadv "preadv"
    SYS_preadv2 "preadv2"
    SYS_pselect6 "pselect6"
    SYS_pwrite64 "pwrite64"
    SYS_pwritev "pwritev"
    SYS_pwritev2 "pwritev2"
    SYS_read "read"
    SYS_readv "readv"
    SYS_recvfrom "recvfrom"
    SYS_recvmmsg "recvmmsg"
    SYS_recvmsg "recvmsg"
    SYS_renameat2 "renameat2"
    SYS_rt_sigsuspend "rt_sigsuspend"
    SYS_rt_sigtimedwait "rt_sigtimedwait"
    #[cfg(target_arch = "x86_64")]
    SYS_select "select"
    SYS_semtimedop "semtimedop"
    SYS_sendfile "sendfile"
    SYS_sendmmsg "sendmmsg"
    SYS_sendmsg "sendmsg"
    SYS_sendto "sendto"
    SYS_splice "splice"
    SYS_statx "statx"
    SYS_sync "sync"
    SYS_syncfs "syncfs"
    SYS_tee "tee"
    SYS_unlinkat "unlinkat"
    SYS_vmsplice "vmsplice"
    SYS_wait4 "wait4"
    SYS_waitid "waitid"
    SYS_write "write"
    SYS_writev "writev"
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_read() {
        let futex = libc::SYS_futex;
        let waits = format!("{futex} 0xfb 0x80 0x0 0x0 0x7ffc 0x7ffd 0x7ffcfd2e0da0 0x1002\n");
        let call = SystemCall::parse(&waits).unwrap();
        assert_eq!(call.name(), Some("futex"));
        // Behind the instruction, or at it; not elsewhere.
        assert!(call.is_at(0x1002) && call.is_at(0x1000));
        assert!(!call.is_at(0x1003) && !call.is_at(0xff0));
        for nothing in ["running\n", "-1 0x7ffcfd2e0da0 0x1002\n", "", "202 0x"] {
            assert_eq!(SystemCall::parse(nothing), None, "{nothing}");
        }
        let quick = format!("{} 0x0 0x7ffc 0x1002", libc::SYS_getpid);
        assert_eq!(SystemCall::parse(&quick).unwrap().name(), None);
    }
}
