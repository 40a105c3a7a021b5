//! Which green thread is parked where, and since when: for people who look for a stuck one.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::clock::Nanos;
use crate::config;
use crate::green_thread::ThreadId;
pub use crate::hub::site::Site;
use crate::hub::task::Task;
use crate::hub::{Hub, placement};
use crate::thread_locals;

mod ends;
mod text;

pub(crate) use ends::SiteWithEnds;
pub use ends::SocketEnds;
pub(crate) use text::Called;

/// Every green thread at about one moment: see [`report`].
///
/// ```
/// use green::{thread::{park, spawn}, report};
///
/// let parked = spawn(park);
/// let report = report();
/// assert_eq!(report.hubs.len(), green::hub_count()?);
/// assert_eq!(report.threads.len(), report.hubs.iter().map(|hub| hub.threads).sum::<usize>());
/// parked.thread().unpark();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// In order of hub and id.
    pub threads: Vec<ThreadReport>,
    /// One entry for each hub.
    pub hubs: Vec<HubReport>,
    /// Whose thread-locals code on a green thread sees, and why; empty before the
    /// first start.
    pub thread_locals: &'static str,
    /// Settings from the environment that could not be used as they are, and what holds in their place, a line each;
    /// empty before the first start.
    pub remarks: &'static [String],
}

/// One green thread.
///
/// ```
/// use green::{thread::{Builder, park}, report};
///
/// let parked = Builder::new().name("parked".to_owned()).spawn(park)?;
/// let threads = report().threads;
/// let found = threads.iter().find(|thread| thread.id == parked.thread().id()).unwrap();
/// assert_eq!((found.name.as_deref(), found.parent), (Some("parked"), None));
/// parked.thread().unpark();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ThreadReport {
    /// Its id.
    pub id: ThreadId,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The green thread that started it; `None` if an OS thread did. It may have
    /// ended since.
    pub parent: Option<ThreadId>,
    /// The number of its hub.
    pub hub: usize,
    /// What it does.
    pub state: State,
    /// How long it has been waiting, to within some milliseconds; `None` if it
    /// does not wait.
    pub waiting_for: Option<Duration>,
    /// How long until its wait times out, zero if it is due and its hub has not come to it; `None` without a deadline.
    pub time_left: Option<Duration>,
    /// CPU time that it used up to its last wait, counted only while there is a
    /// [`CpuAccounting`](crate::debug::CpuAccounting).
    pub cpu: Duration,
}

/// What a green thread does.
///
/// ```
/// use std::time::Duration;
///
/// use green::{Site, State, thread::{sleep, spawn}, report};
///
/// let sleeper = spawn(|| sleep(Duration::from_secs(3600)));
/// let state = || {
///     let threads = report().threads;
///     threads.iter().find(|thread| thread.id == sleeper.thread().id()).unwrap().state
/// };
/// while state() != State::Waiting(Site::Sleep) {
///     sleep(Duration::from_millis(1));
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It has not run yet.
    New,
    /// Its hub runs it. If it still does in a report a second later, and the hub's `turns` are the same, it holds its hub
    /// up.
    Running,
    /// It has what it waited for, and goes on when its hub comes to it.
    Ready,
    /// It waits.
    Waiting(Site),
}

/// One hub, from its start.
///
/// ```
/// green::run(|| ());
/// for hub in green::report().hubs {
///     // hub 0: 1 green threads, 0 of them ready, 0 in the inbox, …
///     println!("{hub}");
///     assert!(hub.begun >= hub.ended);
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HubReport {
    /// Its number.
    pub hub: usize,
    /// Green threads placed on it.
    pub threads: usize,
    /// How many of them do not wait: it runs, is about to, or is new.
    pub ready: usize,
    /// Green threads that other OS threads have woken or started and that its loop has not seen
    /// yet.
    pub inbox: usize,
    /// Whether its OS thread sleeps in its poller because there is nothing to do. If a hub is awake
    /// but its turns stand still, the green thread that it runs holds it up.
    pub idle: bool,
    /// Descriptors registered with its poller.
    pub descriptors: usize,
    /// Green threads that wait with a deadline.
    pub deadlines: usize,
    /// Entries of its timer queue when it last polled. A wait that ended before
    /// its deadline leaves its entry there for the next one, so this may be more
    /// than `deadlines`.
    pub timers: usize,
    /// Turns of its loop.
    pub turns: u64,
    /// Resumes of green threads.
    pub resumes: u64,
    /// Calls of its poller.
    pub polls: u64,
    /// Events that its poller reported.
    pub events: u64,
    /// Green threads that have begun to run on it. Spawned futures count, and a stack that they were polled on when it
    /// is given up.
    pub begun: u64,
    /// Green threads that have ended on it.
    pub ended: u64,
    /// CPU time that its green threads used, counted only while there is a
    /// [`CpuAccounting`](crate::debug::CpuAccounting).
    pub cpu: Duration,
    /// The longest time that its green threads ran between two polls, measured
    /// only while there is a [`CpuAccounting`](crate::debug::CpuAccounting).
    pub longest_turn: Duration,
}

/// Lists every green thread: where it waits and since when.
///
/// Does not stop the hubs, so one entry may be a moment older than the next.
///
/// ```
/// use std::time::Duration;
///
/// let sleeper = green::thread::spawn(|| {
///     green::thread::sleep(Duration::from_secs(3600));
/// });
/// let report = green::report();
/// assert!(report.threads.iter().any(|thread| thread.id == sleeper.thread().id()));
/// println!("{report}");
/// ```
pub fn report() -> Report {
    let now = Nanos::now();
    let mut threads = Vec::new();
    let mut hubs = Vec::new();
    for hub in placement::started() {
        let first = threads.len();
        let running = hub.running();
        threads.extend(hub.threads.lock().iter().map(|(_, task)| {
            let runs = ptr::eq(Arc::as_ptr(task), running);
            ThreadReport::of(task, runs, hub.home.index, now)
        }));
        let here: &mut [ThreadReport] = &mut threads[first..];
        here.sort_unstable_by_key(|thread| thread.id.as_u64());
        hubs.push(HubReport::of(hub, here));
    }
    Report {
        threads,
        hubs,
        thread_locals: thread_locals::told().unwrap_or_default(),
        remarks: config::remarks(),
    }
}

impl HubReport {
    fn of(hub: &Hub, threads: &[ThreadReport]) -> HubReport {
        let load = |counter: &AtomicU64| counter.load(Relaxed);
        let counters = &hub.counters;
        let waits = |thread: &&ThreadReport| matches!(thread.state, State::Waiting(_));
        HubReport {
            hub: hub.home.index,
            threads: threads.len(),
            ready: threads.len() - threads.iter().filter(waits).count(),
            inbox: hub.inbox_len(),
            idle: hub.is_polling(),
            descriptors: hub.registry.len(),
            deadlines: threads.iter().filter(|t| t.time_left.is_some()).count(),
            timers: counters.timers.load(Relaxed),
            turns: load(&counters.turns),
            resumes: load(&counters.resumes),
            polls: load(&counters.polls),
            events: load(&counters.events),
            begun: load(&counters.begun),
            ended: load(&counters.ended),
            cpu: Duration::from_nanos(load(&counters.cpu)),
            longest_turn: Duration::from_nanos(load(&counters.longest_turn)),
        }
    }
}

impl ThreadReport {
    fn of(task: &Task, runs: bool, hub: usize, now: Nanos) -> ThreadReport {
        let waits = task.site.get(&task.word);
        let green = task.green();
        ThreadReport {
            id: ThreadId::new(task.id),
            name: task.name.as_deref().map(str::to_owned),
            parent: (task.parent != 0).then(|| ThreadId::new(task.parent)),
            hub,
            state: match waits {
                Some((site, _)) => State::Waiting(site),
                None if runs => State::Running,
                None if green.is_some_and(|green| green.is_new()) => State::New,
                None => State::Ready,
            },
            waiting_for: waits.map(|(_, since)| since.until(now)),
            time_left: green
                .filter(|_| waits.is_some())
                .and_then(|green| green.deadline.get().remaining_at(now)),
            cpu: Duration::from_nanos(green.map_or(0, |green| green.cpu.load(Relaxed))),
        }
    }
}
