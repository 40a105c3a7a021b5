//! Finding green threads that hold up their hub: the monitor samples counters that hubs keep anyway.
//!
//! A green thread that computes for long, or calls something that blocks the OS thread, holds up
//! every neighbour on its hub. [`blocking_detection`] says which one it is and where.

#[cfg(feature = "backtrace")]
use std::fmt::Write;
use std::io;
use std::time::{Duration, Instant};

use crate::contain::contain;
use crate::hub::{Hub, current, placement};
use crate::sys;
use crate::sys::snapshot::Snapshot;

use super::monitor::MONITOR;
#[cfg(feature = "backtrace")]
use super::unwind;

/// How long a hub's OS thread may take to answer, on a busy machine.
const PATIENCE: Duration = Duration::from_millis(500);

/// Reports, from now on, each green thread that holds its hub for longer than
/// `limit` without waiting; `None` ends it.
///
/// An OS thread of its own watches the hubs. When one has been running the same
/// green thread for `limit` and up to a quarter more, it logs a warning through
/// [`log`] that names the green thread and the hub, says for how long, and shows
/// the stack of the green thread at that moment. Each offence is reported once,
/// however long it goes on. Time in which the machine ran other processes counts too, so choose a
/// limit well above the delays of a busy machine: 100 ms is a good one.
///
/// The hubs themselves do nothing for it, on or off. A signal handler copies the stack, and another
/// thread unwinds it. The listing ends early at code that has no unwinding tables, and names
/// functions as far as the program has symbols. Without the feature `backtrace` it is a single
/// address. A system call in which the offender blocks may end with `EINTR`, which std's own
/// functions handle.
///
/// # Errors
///
/// If the watching OS thread could not be started; `AlreadyExists` if the
/// program has a handler of its own for the signal that is used, the
/// fourth-last real-time signal (`SIGRTMAX` − 3).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// green::debug::blocking_detection(Some(Duration::from_millis(100)))?;
/// green::run(|| {
///     // Blocks the hub, not just this green thread: reported.
///     std::thread::sleep(Duration::from_millis(300));
/// });
/// green::debug::blocking_detection(None)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn blocking_detection(limit: Option<Duration>) -> io::Result<()> {
    const NAME: &str = "blocking";
    let Some(limit) = limit else {
        MONITOR.end(NAME);
        return Ok(());
    };
    MONITOR.begin(NAME, limit, || {
        sys::snapshot::install(current::occupant)?;
        let mut holders = Holders::default();
        Ok(Box::new(move |limit| holders.look(limit)))
    })
}

/// What was seen of each hub.
#[derive(Default)]
struct Holders {
    looks: Vec<Look>,
}

impl Holders {
    fn look(&mut self, limit: Duration) {
        let hubs = placement::started();
        self.looks.resize_with(hubs.len(), Look::new);
        for (hub, look) in hubs.iter().zip(&mut self.looks) {
            look.again(hub, limit);
        }
    }
}

/// What was seen of a hub.
struct Look {
    /// Which of its resumes was under way, and since when it was seen to be.
    resume: u64,
    since: Instant,
    reported: bool,
}

impl Look {
    fn new() -> Look {
        Look {
            resume: 0,
            since: Instant::now(),
            reported: false,
        }
    }

    fn again(&mut self, hub: &Hub, limit: Duration) {
        let resume = hub.resumes();
        if resume != self.resume || hub.is_polling() {
            *self = Look {
                resume,
                ..Look::new()
            };
        } else if !self.reported && self.since.elapsed() >= limit {
            let held = self.since.elapsed();
            let snapshot = sys::snapshot::take(hub.os_thread(), PATIENCE);
            // Whoever ran then is the offender only if no other was resumed.
            if let Some(snapshot) = snapshot
                && hub.resumes() == resume
            {
                self.reported = true;
                report(hub, held, &snapshot);
            }
        }
    }
}

fn report(hub: &Hub, held: Duration, snapshot: &Snapshot) {
    let name = snapshot.name();
    let name = name.as_deref().unwrap_or("<unnamed>");
    let stack = stack(snapshot);
    // A logger is the program's, and may panic.
    contain(|| {
        log::warn!(
            "green thread {} '{name}' has held hub {} for {held:.1?} without waiting, at:\n{stack}",
            snapshot.id,
            hub.home.index,
        );
    });
}

/// The calls of a stack: each on a line, with its place in the source on the next, in the manner of
/// std's backtraces.
#[cfg(feature = "backtrace")]
fn stack(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let mut at_the_root = false;
    for (number, address) in unwind::addresses(snapshot).into_iter().enumerate() {
        // Looked up as a return address, one less; the innermost is not one.
        let address = address + usize::from(number == 0);
        let mut known = false;
        backtrace::resolve(address as *mut _, |symbol| {
            let Some(name) = symbol.name() else { return };
            let name = format!("{name:#}");
            known = true;
            at_the_root |= name.contains("__rust_begin_short_backtrace");
            if at_the_root {
                return;
            }
            let _ = writeln!(text, "{number:>4}: {name}");
            if let (Some(file), Some(line)) = (symbol.filename(), symbol.lineno()) {
                let _ = writeln!(text, "             at {}:{line}", file.display());
            }
        });
        if at_the_root {
            break;
        }
        if !known {
            let _ = writeln!(text, "{number:>4}: {address:#x}");
        }
    }
    text
}

/// Where it was: what is known without the crates that unwind and name.
#[cfg(not(feature = "backtrace"))]
fn stack(snapshot: &Snapshot) -> String {
    format!("   0: {:#x}\n", snapshot.pc)
}
