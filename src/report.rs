//! Who is parked where, since when: every green thread of the process, for people who look for a stuck one.

use std::fmt;
use std::time::Duration;

use crate::clock::Nanos;
use crate::green_thread::ThreadId;
use crate::hub::placement;
pub use crate::hub::site::Site;
use crate::hub::task::Task;

/// Every green thread at about one moment: see [`report`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// In order of hub and id.
    pub threads: Vec<ThreadReport>,
    /// One entry a hub.
    pub hubs: Vec<HubReport>,
}

/// One green thread.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ThreadReport {
    /// Its id.
    pub id: ThreadId,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The number of its hub.
    pub hub: usize,
    /// What it does.
    pub state: State,
    /// How long it has been waiting, to within some milliseconds; `None` if it
    /// does not wait.
    pub waiting_for: Option<Duration>,
    /// How long until its wait times out; `None` without a deadline.
    pub time_left: Option<Duration>,
}

/// What a green thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It has not run yet.
    New,
    /// It runs, or is about to.
    Ready,
    /// It waits.
    Waiting(Site),
}

/// One hub, from its start.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HubReport {
    /// Its number.
    pub hub: usize,
    /// Green threads placed on it.
    pub threads: usize,
    /// Descriptors registered with its poller.
    pub descriptors: usize,
    /// Green threads that wait with a deadline.
    pub deadlines: usize,
    /// Turns of its loop.
    pub turns: u64,
    /// Resumes of green threads.
    pub resumes: u64,
    /// Events that its poller reported.
    pub events: u64,
}

/// Lists every green thread: where it waits and since when.
///
/// Does not stop the hubs, so one entry may be a moment older than the next.
///
/// ```
/// use std::time::Duration;
///
/// let sleeper = greenhub::green_thread::spawn(|| {
///     greenhub::green_thread::sleep(Duration::from_secs(3600));
/// });
/// let report = greenhub::report();
/// assert!(report.threads.iter().any(|thread| thread.id == sleeper.thread().id()));
/// println!("{report}");
/// ```
pub fn report() -> Report {
    let now = Nanos::now();
    let mut threads = Vec::new();
    let mut hubs = Vec::new();
    for hub in placement::started() {
        let first = threads.len();
        threads.extend(
            hub.threads
                .lock()
                .iter()
                .map(|(_, task)| ThreadReport::of(task, hub.index, now)),
        );
        let here: &mut [ThreadReport] = &mut threads[first..];
        here.sort_by_key(|thread| thread.id.as_u64());
        hubs.push(HubReport {
            hub: hub.index,
            threads: here.len(),
            descriptors: hub.registry.len(),
            deadlines: here.iter().filter(|t| t.time_left.is_some()).count(),
            turns: load(&hub.counters.turns),
            resumes: load(&hub.counters.resumes),
            events: load(&hub.counters.events),
        });
    }
    Report { threads, hubs }
}

fn load(counter: &std::sync::atomic::AtomicU64) -> u64 {
    counter.load(std::sync::atomic::Ordering::Relaxed)
}

impl ThreadReport {
    fn of(task: &Task, hub: usize, now: Nanos) -> ThreadReport {
        let waits = task.site.get(&task.word);
        let green = task.green();
        ThreadReport {
            id: ThreadId::new(task.id),
            name: task.name.as_deref().map(str::to_owned),
            hub,
            state: match waits {
                Some((site, _)) => State::Waiting(site),
                None if green.is_some_and(|green| green.is_new()) => State::New,
                None => State::Ready,
            },
            waiting_for: waits.map(|(_, since)| since.until(now)),
            time_left: green
                .map(|green| green.deadline())
                .filter(|deadline| waits.is_some() && !deadline.is_never())
                .map(|deadline| now.until(deadline)),
        }
    }
}

impl fmt::Display for Report {
    /// A line a hub and a line a green thread.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for hub in &self.hubs {
            writeln!(
                f,
                "hub {}: {} green threads, {} descriptors, {} deadlines, {} turns, {} resumes, {} events",
                hub.hub,
                hub.threads,
                hub.descriptors,
                hub.deadlines,
                hub.turns,
                hub.resumes,
                hub.events
            )?;
        }
        self.threads
            .iter()
            .try_for_each(|thread| writeln!(f, "{thread}"))
    }
}

impl fmt::Display for ThreadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("<unnamed>");
        write!(f, "{:>6} {name} on hub {}: ", self.id.as_u64(), self.hub)?;
        match self.state {
            State::New => f.write_str("new"),
            State::Ready => f.write_str("ready"),
            State::Waiting(site) => {
                let since = self.waiting_for.unwrap_or_default();
                write!(f, "waits for {site} since {since:.1?}")?;
                match self.time_left {
                    Some(left) => write!(f, ", at most {left:.1?} more"),
                    None => Ok(()),
                }
            }
        }
    }
}
