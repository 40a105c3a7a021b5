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
use crate::sys::system_call::SystemCall;

use super::monitor::MONITOR;
#[cfg(feature = "backtrace")]
use super::unwind;

/// How long a hub's OS thread may take to answer, on a busy machine.
const PATIENCE: Duration = Duration::from_millis(500);

/// Reports, from now on, each green thread that holds its hub for longer than
/// `limit` without waiting; `None` ends it.
///
/// An OS thread of its own watches the hubs. It logs a warning through [`log`]
/// when one has been running the same green thread for `limit`, at the latest a
/// quarter of it later. The warning names the green thread and the hub, says for
/// how long, and shows the green thread's stack at that moment. Each offence is reported once,
/// however long it goes on. Time in which the machine ran other processes counts too, so choose a
/// limit well above the delays of a busy machine: 100 ms is a good one.
///
/// Nothing is seen unless the program has installed a logger that lets warnings through. With the crate env_logger:
///
/// ```text
/// env_logger::init_from_env(env_logger::Env::default().default_filter_or("warn"));
/// ```
///
/// If it stood in a system call, or in a library, the warning names the function: `in clock_nanosleep of libc.so.6`, `in the
/// system call poll, called by getaddrinfo of libc.so.6`. Of several libraries that called one another, it names for each the
/// function that was called from outside. Without the feature `backtrace` it names the system call alone.
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
            // Asked first: the snapshot's signal may end the call.
            let call = SystemCall::of(hub.os_thread());
            let snapshot = sys::snapshot::take(hub.os_thread(), PATIENCE);
            // Whoever ran then is the offender only if no other was resumed.
            if let Some(snapshot) = snapshot
                && hub.resumes() == resume
            {
                self.reported = true;
                report(hub, held, &snapshot, call);
            }
        }
    }
}

fn report(hub: &Hub, held: Duration, snapshot: &Snapshot, call: Option<SystemCall>) {
    let name = snapshot.name();
    let name = name.as_deref().unwrap_or("<unnamed>");
    let Whereabouts { stack, entries } = Whereabouts::of(snapshot);
    let call = call.filter(|call| call.is_at(snapshot.pc));
    let blocked = functions(call.and_then(SystemCall::name), &entries);
    // A logger is the program's, and may panic.
    contain(|| {
        log::warn!(
            "green thread {} '{name}' has held hub {} for {held:.1?} without waiting{blocked}, at:\n{stack}",
            snapshot.id,
            hub.home.index,
        );
    });
}

/// Where a green thread was.
#[derive(Default)]
struct Whereabouts {
    /// Its calls, for people.
    stack: String,
    /// If it was in a library: the function of it that was called from outside. If that was called by
    /// another library, this one's after it, and so on up to the program.
    entries: Vec<Entry>,
}

/// A function of a library.
struct Entry {
    function: String,
    library: String,
}

/// In which functions the offender stood, in words.
fn functions(call: Option<&str>, entries: &[Entry]) -> String {
    let innermost = entries.first().map(|entry| entry.function.as_str());
    let call = call.filter(|&call| innermost != Some(call));
    let call = call.map(|call| format!("the system call {call}"));
    let entries = entries
        .iter()
        .map(|Entry { function, library }| format!("{function} of {library}"));
    let all: Vec<String> = call.into_iter().chain(entries).collect();
    match all.is_empty() {
        true => String::new(),
        false => format!(", in {}", all.join(", called by ")),
    }
}

#[cfg(feature = "backtrace")]
impl Entry {
    /// glibc has several names for one function: `read` is also `__read`, and with debug information `__GI___libc_read`.
    fn new(function: &str, library: String) -> Entry {
        let function = match library.starts_with("libc.so") {
            true => {
                let name = function.trim_start_matches("__GI_");
                name.trim_start_matches("__libc_").trim_start_matches('_')
            }
            false => function,
        };
        Entry {
            function: function.to_owned(),
            library,
        }
    }
}

#[cfg(feature = "backtrace")]
impl Whereabouts {
    /// The stack has each call on a line, with its place in the source on the next, in the manner of
    /// std's backtraces.
    fn of(snapshot: &Snapshot) -> Whereabouts {
        let mut whereabouts = Whereabouts::default();
        let mut at_the_root = false;
        let mut in_libraries = true;
        for (number, address) in unwind::addresses(snapshot).into_iter().enumerate() {
            // Looked up as a return address, one less; the innermost is not one.
            let address = address + usize::from(number == 0);
            let library = unwind::library_of(address - 1).filter(|_| in_libraries);
            in_libraries = library.is_some();
            let mut function = None;
            backtrace::resolve(address as *mut _, |symbol| {
                let Some(name) = symbol.name() else { return };
                let name = format!("{name:#}");
                at_the_root |= name.contains("__rust_begin_short_backtrace");
                if !at_the_root {
                    let _ = writeln!(whereabouts.stack, "{number:>4}: {name}");
                    if let (Some(file), Some(line)) = (symbol.filename(), symbol.lineno()) {
                        let _ = writeln!(
                            whereabouts.stack,
                            "             at {}:{line}",
                            file.display()
                        );
                    }
                }
                function = Some(name);
            });
            if at_the_root {
                break;
            }
            match (function, library) {
                (Some(function), Some(library)) => {
                    whereabouts.is_in(Entry::new(&function, library))
                }
                (Some(_), None) => (),
                (None, _) => {
                    let _ = writeln!(whereabouts.stack, "{number:>4}: {address:#x}");
                }
            }
        }
        whereabouts
    }

    /// Its caller is in a library too.
    fn is_in(&mut self, caller: Entry) {
        match self.entries.last_mut() {
            Some(last) if last.library == caller.library => *last = caller,
            _ => self.entries.push(caller),
        }
    }
}

#[cfg(not(feature = "backtrace"))]
impl Whereabouts {
    /// What is known without the crates that unwind and name.
    fn of(snapshot: &Snapshot) -> Whereabouts {
        Whereabouts {
            stack: format!("   0: {:#x}\n", snapshot.pc),
            ..Whereabouts::default()
        }
    }
}
