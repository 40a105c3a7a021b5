//! Which descriptors each hub watches, and who waits for them.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::RawFd;

use crate::green_thread::ThreadId;
use crate::hub::placement;
use crate::report::{Site, SocketEnds, State, report};

/// Every descriptor that a hub watches: see [`listeners`].
///
/// ```
/// let listeners = green::debug::listeners();
/// assert_eq!(listeners.to_string().lines().count(), listeners.listeners.len());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listeners {
    /// In order of hub and descriptor.
    pub listeners: Vec<Listener>,
}

/// One descriptor that is registered with a hub's poller.
///
/// ```
/// for listener in green::debug::listeners().listeners {
///     // hub 0, fd 7 [local 127.0.0.1:80, peer 127.0.0.1:39014]: read not ready, awaited by 12, write ready
///     println!("{listener}");
///     assert!(listener.to_string().contains(&format!("fd {}", listener.fd)));
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listener {
    /// The number of the hub.
    pub hub: usize,
    /// The number of the descriptor.
    pub fd: RawFd,
    /// Whether the hub believes it to be readable: then the next call tries before it waits.
    pub readable: bool,
    /// Whether the hub believes it to be writable.
    pub writable: bool,
    /// The two ends, if it is a socket and they have names.
    pub socket: Option<SocketEnds>,
    /// The green threads that wait to read, of any hub.
    pub readers: Vec<ThreadId>,
    /// The green threads that wait to write, of any hub.
    pub writers: Vec<ThreadId>,
}

/// Lists every descriptor that a hub watches, as eventlet's
/// `format_hub_listeners` does.
///
/// A descriptor is watched by one hub, in both directions, from the first time that a green thread had to
/// wait for it until it is closed.
///
/// ```
/// use std::os::fd::AsRawFd;
/// use std::sync::Arc;
///
/// use green::Deadline;
/// use green::debug::listeners;
/// use green::thread::spawn;
/// use green::source::{Direction, Source};
///
/// let (end, _other) = std::os::unix::net::UnixStream::pair()?;
/// end.set_nonblocking(true)?;
/// let source = Arc::new(Source::new(end.into()));
/// let fd = source.as_raw_fd();
/// let reader = spawn(move || source.wait(Direction::Read, Deadline::NEVER));
/// let found = loop {
///     let all = listeners().listeners;
///     if let Some(one) = all.into_iter().find(|l| l.fd == fd && !l.readers.is_empty()) {
///         break one;
///     }
/// };
/// assert_eq!(found.readers, [reader.thread().id()]);
/// println!("{}", listeners());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn listeners() -> Listeners {
    let mut waiting: HashMap<RawFd, (Vec<ThreadId>, Vec<ThreadId>)> = HashMap::new();
    for thread in report().threads {
        match thread.state {
            State::Waiting(Site::Readable(fd)) => waiting.entry(fd).or_default().0.push(thread.id),
            State::Waiting(Site::Writable(fd)) => waiting.entry(fd).or_default().1.push(thread.id),
            _ => {}
        }
    }
    let mut listeners = Vec::new();
    for hub in placement::started() {
        let first = listeners.len();
        listeners.extend(hub.registry.known().into_iter().map(|known| {
            let (readers, writers) = waiting.get(&known.fd).cloned().unwrap_or_default();
            Listener {
                hub: hub.home.index,
                fd: known.fd,
                socket: SocketEnds::of(known.fd),
                readable: known.readable,
                writable: known.writable,
                readers,
                writers,
            }
        }));
        listeners[first..].sort_unstable_by_key(|listener| listener.fd);
    }
    Listeners { listeners }
}

impl fmt::Display for Listeners {
    /// A line a descriptor.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut listeners = self.listeners.iter();
        listeners.try_for_each(|listener| writeln!(f, "{listener}"))
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hub {}, fd {}", self.hub, self.fd)?;
        if let Some(ends) = &self.socket {
            write!(f, " [{ends}]")?;
        }
        f.write_str(": read ")?;
        direction(f, self.readable, &self.readers)?;
        f.write_str(", write ")?;
        direction(f, self.writable, &self.writers)
    }
}

fn direction(f: &mut fmt::Formatter<'_>, ready: bool, waiting: &[ThreadId]) -> fmt::Result {
    f.write_str(if ready { "ready" } else { "not ready" })?;
    for (n, id) in waiting.iter().enumerate() {
        let before = if n == 0 { ", awaited by " } else { " and " };
        write!(f, "{before}{}", id.as_u64())?;
    }
    Ok(())
}
