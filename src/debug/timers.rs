//! Which deadlines are set, the nearest first.

use std::fmt;
use std::time::Duration;

use crate::green_thread::ThreadId;
use crate::report::{Called, Site, SiteWithEnds, State, ThreadReport, report};

/// Every wait that has a deadline: see [`timers`].
///
/// ```
/// let timers = green::debug::timers();
/// assert_eq!(timers.to_string().lines().count(), timers.timers.len());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timers {
    /// In order of hub and deadline.
    pub timers: Vec<Timer>,
}

/// A wait with a deadline.
///
/// ```
/// use std::time::Duration;
///
/// use green::debug::timers;
/// use green::thread::{Builder, sleep};
///
/// let sleeper = Builder::new()
///     .name("sleeper".to_owned())
///     .hub(0)
///     .spawn(|| sleep(Duration::from_secs(3600)))?;
/// let timer = loop {
///     let ours = |timer: &green::debug::Timer| timer.thread() == sleeper.thread().id();
///     if let Some(timer) = timers().timers.into_iter().find(ours) {
///         break timer;
///     }
/// };
/// assert_eq!((timer.name(), timer.hub()), (Some("sleeper"), 0));
/// // hub 0, in 3600.0s: 1 sleeper, sleep
/// assert!(timer.to_string().ends_with("sleeper, sleep"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timer {
    /// How long until the deadline.
    pub left: Duration,
    /// What the green thread waits for meanwhile.
    pub site: Site,
    thread: ThreadReport,
}

impl Timer {
    /// The green thread that waits.
    pub fn thread(&self) -> ThreadId {
        self.thread.id
    }

    /// The green thread's name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.thread.name.as_deref()
    }

    /// The number of its hub.
    pub fn hub(&self) -> usize {
        self.thread.hub
    }
}

/// Lists every deadline that a green thread waits with, sleeps included, as
/// eventlet's `format_hub_timers` does.
///
/// ```
/// use std::time::Duration;
///
/// use green::debug::timers;
/// use green::thread::{sleep, spawn};
///
/// let sleeper = spawn(|| sleep(Duration::from_secs(3600)));
/// let found = loop {
///     let all = timers().timers;
///     if let Some(one) = all.into_iter().find(|timer| timer.thread() == sleeper.thread().id()) {
///         break one;
///     }
/// };
/// assert!(found.left > Duration::from_secs(3000));
/// println!("{}", timers());
/// ```
pub fn timers() -> Timers {
    let mut timers: Vec<Timer> = report()
        .threads
        .into_iter()
        .filter_map(|thread| match (thread.state, thread.time_left) {
            (State::Waiting(site), Some(left)) => Some(Timer { left, site, thread }),
            _ => None,
        })
        .collect();
    timers.sort_unstable_by_key(|timer| (timer.hub(), timer.left));
    Timers { timers }
}

impl fmt::Display for Timers {
    /// A line a deadline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut timers = self.timers.iter();
        timers.try_for_each(|timer| writeln!(f, "{timer}"))
    }
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, called) = (self.thread().as_u64(), Called(&self.thread));
        write!(
            f,
            "hub {}, in {:.1?}: {id} {called}, {}",
            self.hub(),
            self.left,
            SiteWithEnds(self.site)
        )
    }
}
