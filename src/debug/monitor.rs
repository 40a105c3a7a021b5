//! The OS thread that looks at the hubs for whoever asked for it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sys;

/// Looks this many times within the shortest limit.
const LOOKS: u32 = 4;
const SHORTEST_LOOK: Duration = Duration::from_millis(1);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// Looks once, for what has gone on for as long as this.
pub(super) type Look = Box<dyn FnMut(Duration) + Send>;

/// What has been asked for, and what the monitor waits on.
pub(super) struct Monitor {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

pub(super) static MONITOR: Monitor = Monitor {
    wanted: Mutex::new(Wanted {
        watches: Vec::new(),
        running: false,
    }),
    changed: Condvar::new(),
};

struct Wanted {
    watches: Vec<Arc<Watch>>,
    running: bool,
}

struct Watch {
    name: &'static str,
    limit: Duration,
    /// Taken by the monitor alone.
    look: Mutex<Look>,
}

impl Wanted {
    fn pause(&self) -> Option<Duration> {
        let shortest = self.watches.iter().map(|watch| watch.limit).min()?;
        Some((shortest / LOOKS).clamp(SHORTEST_LOOK, LONGEST_LOOK))
    }
}

impl Monitor {
    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        // A look that panics does so under no lock but its own.
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `begin` look from now on, until the same name is given to [`end`](Self::end). If it did so before, it
    /// begins anew.
    pub(super) fn begin(
        &'static self,
        name: &'static str,
        limit: Duration,
        begin: impl FnOnce() -> io::Result<Look>,
    ) -> io::Result<()> {
        let mut wanted = self.wanted();
        let watch = Watch {
            name,
            limit,
            look: Mutex::new(begin()?),
        };
        if !wanted.running {
            std::thread::Builder::new()
                .name("green-monitor".to_owned())
                .spawn(move || {
                    sys::signal::restore_mask();
                    self.watch();
                })?;
            wanted.running = true;
        }
        wanted.watches.retain(|watch| watch.name != name);
        wanted.watches.push(Arc::new(watch));
        self.changed.notify_all();
        Ok(())
    }

    pub(super) fn end(&self, name: &str) {
        let mut wanted = self.wanted();
        wanted.watches.retain(|watch| watch.name != name);
        self.changed.notify_all();
    }

    /// The monitor's loop. It ends when there is nothing to watch for.
    fn watch(&self) {
        let mut wanted = self.wanted();
        while let Some(pause) = wanted.pause() {
            let waited = self.changed.wait_timeout(wanted, pause);
            wanted = waited.unwrap_or_else(PoisonError::into_inner).0;
            let watches = wanted.watches.clone();
            // What is found is logged, and a logger may come back to us.
            drop(wanted);
            for watch in watches {
                let look = watch.look.lock();
                look.unwrap_or_else(PoisonError::into_inner)(watch.limit);
            }
            wanted = self.wanted();
        }
        wanted.running = false;
    }
}
