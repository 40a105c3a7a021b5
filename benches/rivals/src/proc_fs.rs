//! What the kernel says about a process, read from `/proc`.

use std::fs;
use std::io;
use std::ops::Sub;

/// What a process has used up to now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time of all its threads, in nanoseconds.
    pub cpu_ns: f64,
    /// How often its threads stopped to wait or were made to.
    pub switches: f64,
    /// Processor time of the whole machine, in nanoseconds.
    pub machine_ns: f64,
}

impl Sub for Usage {
    type Output = Usage;

    fn sub(self, earlier: Usage) -> Usage {
        Usage {
            cpu_ns: self.cpu_ns - earlier.cpu_ns,
            switches: self.switches - earlier.switches,
            machine_ns: self.machine_ns - earlier.machine_ns,
        }
    }
}

/// What the process has used so far. Switches of a thread that has ended are
/// not counted; its processor time is.
pub fn usage(pid: u32) -> io::Result<Usage> {
    let mut usage = Usage {
        cpu_ns: program::cpu_time(pid)?.as_nanos() as f64,
        ..Usage::default()
    };
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while we look.
        let Ok(status) = fs::read_to_string(task?.path().join("status")) else {
            continue;
        };
        for line in status.lines() {
            if line.contains("ctxt_switches") {
                usage.switches += nth(line, 1)?;
            }
        }
    }
    usage.machine_ns = machine_ns()?;
    Ok(usage)
}

/// `USER_HZ` is 100 on every Linux that this runs on.
const NS_PER_TICK: f64 = 1e9 / 100.0;

/// Processor time spent on anything by all cores, in nanoseconds.
fn machine_ns() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    // user, nice, system, then idle and iowait, then irq, softirq, steal.
    let mut ticks = 0.0;
    for field in [1, 2, 3, 6, 7, 8] {
        ticks += nth(&stat, field)?;
    }
    Ok(ticks * NS_PER_TICK)
}

/// Whether somebody traces every thread of the process.
pub fn is_traced(pid: u32) -> io::Result<bool> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(task?.path().join("status"))?;
        if status.lines().any(|line| line == "TracerPid:\t0") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn nth(line: &str, index: usize) -> io::Result<f64> {
    line.split_whitespace()
        .nth(index)
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("field {index}: {line}")))
}
