//! The few system calls that prepare a process for being measured.
#![expect(
    unsafe_code,
    reason = "std has no affinity, no resource limits, no prctl and no clock of another process"
)]

use std::io;
use std::time::Duration;

fn checked(result: libc::c_int) -> io::Result<()> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Binds the calling thread, and all that it starts later, to one core.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: cpu_set_t is a plain bit array, for which all zeroes is a value;
    // `cpu` lies within it; the kernel only reads the set, whose size is given.
    checked(unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    })
}

/// Sets the priority of the calling thread, and of all that it starts later.
pub(crate) fn set_nice(nice: i32) -> io::Result<()> {
    // SAFETY: takes no pointer; 0 is the calling thread.
    checked(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) })
}

/// Raises the limit of open descriptors to the hard limit.
pub(crate) fn raise_open_files() -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls get a pointer to a live rlimit.
    unsafe {
        checked(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit))?;
        limit.rlim_cur = limit.rlim_max;
        checked(libc::setrlimit(libc::RLIMIT_NOFILE, &limit))
    }
}

/// Has the kernel kill this process when its parent ends, so that an
/// interrupted bench leaves no server behind.
pub(crate) fn end_with_parent() -> io::Result<()> {
    // SAFETY: this prctl takes a signal number and no pointer.
    checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })
}

/// The processor clock of a process.
pub(crate) fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut clock = 0;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: both calls write to a live variable of the type they want.
    unsafe {
        match libc::clock_getcpuclockid(pid as libc::pid_t, &mut clock) {
            0 => checked(libc::clock_gettime(clock, &mut time))?,
            code => return Err(io::Error::from_raw_os_error(code)),
        }
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}
