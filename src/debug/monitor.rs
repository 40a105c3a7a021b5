//! The OS thread that watches the hubs for whoever asked for it.

use std::io;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::blocking::Holders;
use super::deadlock::Standstill;
use crate::sys;

/// Looks this many times within the shortest limit.
const LOOKS: u32 = 4;
const SHORTEST_LOOK: Duration = Duration::from_millis(1);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// What has been asked for, and what the monitor waits on.
struct Monitor {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

static MONITOR: Monitor = Monitor {
    wanted: Mutex::new(Wanted {
        limits: Limits {
            blocking: None,
            deadlock: None,
        },
        running: false,
    }),
    changed: Condvar::new(),
};

struct Wanted {
    limits: Limits,
    running: bool,
}

/// How long each may go on before it is reported; `None` is not looked for.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// A green thread that holds its hub.
    pub(super) blocking: Option<Duration>,
    /// All green threads waiting for one another.
    pub(super) deadlock: Option<Duration>,
}

impl Limits {
    fn shortest(&self) -> Option<Duration> {
        self.blocking.into_iter().chain(self.deadlock).min()
    }
}

/// Changes what is looked for. The monitor runs while there is anything.
pub(super) fn watch_for(change: impl FnOnce(&mut Limits) -> io::Result<()>) -> io::Result<()> {
    let mut wanted = MONITOR.wanted.lock();
    let mut limits = wanted.limits;
    change(&mut limits)?;
    if limits.shortest().is_some() && !wanted.running {
        std::thread::Builder::new()
            .name("green-monitor".to_owned())
            .spawn(|| {
                sys::signal::restore_mask();
                watch();
            })?;
        wanted.running = true;
    }
    wanted.limits = limits;
    MONITOR.changed.notify_all();
    Ok(())
}

/// The monitor's loop. It ends when there is nothing to watch for.
fn watch() {
    let mut holders = Holders::default();
    let mut standstill = Standstill::default();
    let mut wanted = MONITOR.wanted.lock();
    while let Some(shortest) = wanted.limits.shortest() {
        let pause = (shortest / LOOKS).clamp(SHORTEST_LOOK, LONGEST_LOOK);
        MONITOR.changed.wait_for(&mut wanted, pause);
        let limits = wanted.limits;
        MutexGuard::unlocked(&mut wanted, || {
            if let Some(limit) = limits.blocking {
                holders.look(limit);
            }
            if let Some(limit) = limits.deadlock {
                standstill.look(limit);
            }
        });
    }
    wanted.running = false;
}
