//! CPU time by green thread and the longest turn, while somebody asks for them.
//!
//! Off, a turn loads one flag and a resume tests a register. On, each resume
//! costs a reading of the OS thread's CPU clock, a system call.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::Counters;
use super::task::Task;
use crate::clock::Nanos;
use crate::sys::thread_cpu_time;

/// How many ask for it.
static ASKING: AtomicUsize = AtomicUsize::new(0);

/// Asked for as long as it lives.
#[derive(Debug)]
pub(crate) struct Asking(());

impl Asking {
    pub(crate) fn new() -> Asking {
        ASKING.fetch_add(1, Ordering::Relaxed);
        Asking(())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ASKING.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) fn is_asked_for() -> bool {
    ASKING.load(Ordering::Relaxed) != 0
}

/// Measures one turn of a hub, on its OS thread.
pub(super) struct Meter(Option<Measurement>);

struct Measurement {
    began: Nanos,
    /// The CPU clock when the turn began, and when it was last read.
    first: Duration,
    last: Duration,
}

impl Meter {
    #[inline]
    pub(super) fn start() -> Meter {
        Meter(is_asked_for().then(Measurement::start))
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Time since the last reading was `task`'s.
    #[inline]
    pub(super) fn charge(&mut self, task: &Task) {
        if let Some(measurement) = &mut self.0 {
            measurement.charge(task);
        }
    }

    #[inline]
    pub(super) fn finish(self, counters: &Counters) {
        if let Some(measurement) = self.0 {
            measurement.finish(counters);
        }
    }
}

impl Measurement {
    #[cold]
    fn start() -> Measurement {
        let cpu = thread_cpu_time();
        Measurement {
            began: Nanos::now(),
            first: cpu,
            last: cpu,
        }
    }

    #[cold]
    fn charge(&mut self, task: &Task) {
        let now = thread_cpu_time();
        if let Some(green) = task.green() {
            add(&green.cpu, now.saturating_sub(self.last));
        }
        self.last = now;
    }

    #[cold]
    fn finish(self, counters: &Counters) {
        add(&counters.cpu, self.last.saturating_sub(self.first));
        let took = self.began.until(Nanos::now()).as_nanos() as u64;
        if took > counters.longest_turn.load(Ordering::Relaxed) {
            counters.longest_turn.store(took, Ordering::Relaxed);
        }
    }
}

/// Only this OS thread writes it.
fn add(total: &AtomicU64, time: Duration) {
    let sum = total.load(Ordering::Relaxed) + time.as_nanos() as u64;
    total.store(sum, Ordering::Relaxed);
}
