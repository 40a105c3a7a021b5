//! Noticing that all green threads wait for one another: the monitor looks at the report.

use std::fmt::Write;
use std::io;
use std::time::{Duration, Instant};

use super::monitor::MONITOR;
use crate::blocking;
use crate::contain::contain;
use crate::hub::placement;
use crate::report::{Report, Site, State, report};

/// Reports, from now on, when all green threads have been waiting for one another for `limit`;
/// `None` ends it.
///
/// That is so when none is ready, none waits for a descriptor, for a time or for a
/// call on the [blocking](crate::blocking) pool, and there is at least one. Nothing within the
/// program's green threads can then wake any of them: a lock that its holder will
/// not give back, a channel that nobody sends to. A warning through [`log`] lists
/// them with what each waits for. It is logged once, and again only after one of them has run.
///
/// It is only a notice, and nothing is ended: an OS thread that uses `green` may still send, unlock
/// or unpark. If all work comes to the green threads from OS threads, the program gets the notice
/// whenever it is idle; leave it off there.
///
/// A separate OS thread looks four times within the limit; the hubs do
/// nothing for it, on or off. The limit counts from the first look that found
/// all of them waiting, so the notice may be a quarter late.
///
/// # Errors
///
/// If the watching OS thread could not be started.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use green::channel::bounded;
///
/// green::debug::deadlock_detection(Some(Duration::from_millis(100)))?;
/// green::run(|| {
///     let (sender, receiver) = bounded::<u32>(1);
///     // The sender is ours, and nobody else has one: a wait for ever,
///     // but for the limit. With a limit it is no deadlock, and is not reported.
///     let limit = Duration::from_millis(200);
///     assert!(green::timeout(limit, || receiver.recv()).is_err());
///     drop(sender);
/// });
/// green::debug::deadlock_detection(None)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn deadlock_detection(limit: Option<Duration>) -> io::Result<()> {
    const NAME: &str = "deadlock";
    let Some(limit) = limit else {
        MONITOR.end(NAME);
        return Ok(());
    };
    MONITOR.begin(NAME, limit, || {
        let mut standstill = Standstill::default();
        Ok(Box::new(move |limit| standstill.look(limit)))
    })
}

/// What was seen of all hubs together.
#[derive(Default)]
struct Standstill {
    /// How often green threads had been resumed, and since when nobody was.
    since: Option<(u64, Instant)>,
    reported: bool,
}

impl Standstill {
    fn look(&mut self, limit: Duration) {
        // Before the report: what runs in between is seen the next time.
        let resumes = placement::started().iter().map(|hub| hub.resumes()).sum();
        let now = Instant::now();
        let report = report();
        if !stands_still(&report) || blocking::busy() {
            *self = Standstill::default();
            return;
        }
        let since = match self.since {
            Some((before, since)) if before == resumes => since,
            _ => {
                *self = Standstill {
                    since: Some((resumes, now)),
                    reported: false,
                };
                now
            }
        };
        if !self.reported && now.duration_since(since) >= limit {
            self.reported = true;
            tell(&report, now.duration_since(since));
        }
    }
}

/// Whether there are green threads, and each waits for another thread.
fn stands_still(report: &Report) -> bool {
    !report.threads.is_empty()
        && report.threads.iter().all(|thread| {
            let waits = match thread.state {
                State::Waiting(Site::Park | Site::Join(_) | Site::Queue(_)) => true,
                State::Waiting(Site::Readable(_) | Site::Writable(_) | Site::Sleep) => false,
                State::New | State::Running | State::Ready => false,
            };
            waits && thread.time_left.is_none()
        })
}

fn tell(report: &Report, since: Duration) {
    let mut list = String::new();
    for thread in &report.threads {
        let _ = write!(list, "\n{thread}");
    }
    // A logger is the program's, and may panic.
    contain(|| {
        log::warn!(
            "all green threads have waited for one another for {since:.1?}; only an OS thread can wake one:{list}"
        );
    });
}
