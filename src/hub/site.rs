//! Where a thread waits, and since when: what a report shows.
#![expect(
    unsafe_code,
    reason = "a string is put together again from two atomics under a ticket"
)]

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use super::wait_word::{Ticket, WaitWord};
use crate::clock::Nanos;

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Site {
    /// For a descriptor to become readable.
    Readable(i32),
    /// For a descriptor to become writable.
    Writable(i32),
    /// Sleeping.
    Sleep,
    /// In `park`.
    Park,
    /// For the green thread with this id to end.
    Join(u64),
    /// In a wait queue: the name of the lock, channel or other object.
    Queue(&'static str),
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Site::Readable(fd) => write!(f, "fd {fd} readable"),
            Site::Writable(fd) => write!(f, "fd {fd} writable"),
            Site::Sleep => f.write_str("sleep"),
            Site::Park => f.write_str("park"),
            Site::Join(id) => write!(f, "join of {id}"),
            Site::Queue(name) => f.write_str(name),
        }
    }
}

/// The site of the open ticket, written by the thread itself before it opens
/// the ticket and never while it is open; so a reader that finds the same
/// ticket open before and after has read one site.
#[derive(Debug, Default)]
pub(crate) struct SiteCell {
    kind: AtomicU8,
    first: AtomicUsize,
    second: AtomicUsize,
    since: AtomicU64,
}

impl SiteCell {
    /// For debuggers: where it has the kind, and the two words that go with it.
    #[cfg(not(feature = "engine-may"))]
    pub(crate) const PARTS: [usize; 3] = [
        std::mem::offset_of!(SiteCell, kind),
        std::mem::offset_of!(SiteCell, first),
        std::mem::offset_of!(SiteCell, second),
    ];

    #[inline]
    pub(crate) fn set(&self, site: Site, since: Nanos) {
        let (kind, first, second) = match site {
            Site::Readable(fd) => (0, fd as usize, 0),
            Site::Writable(fd) => (1, fd as usize, 0),
            Site::Sleep => (2, 0, 0),
            Site::Park => (3, 0, 0),
            Site::Join(id) => (4, id as usize, 0),
            Site::Queue(name) => (5, name.as_ptr() as usize, name.len()),
        };
        // Whoever reads one of these also sees that the ticket before is closed.
        self.kind.store(kind, Ordering::Release);
        self.first.store(first, Ordering::Release);
        self.second.store(second, Ordering::Release);
        self.since.store(since.0, Ordering::Release);
    }

    /// The site of the ticket open now; `None` if the thread does not wait.
    pub(crate) fn get(&self, word: &WaitWord) -> Option<(Site, Nanos)> {
        loop {
            let ticket: Ticket = word.open_ticket()?;
            let kind = self.kind.load(Ordering::Acquire);
            let first = self.first.load(Ordering::Acquire);
            let second = self.second.load(Ordering::Acquire);
            let since = Nanos(self.since.load(Ordering::Acquire));
            if word.open_ticket() != Some(ticket) {
                continue;
            }
            let site = match kind {
                0 => Site::Readable(first as i32),
                1 => Site::Writable(first as i32),
                2 => Site::Sleep,
                3 => Site::Park,
                4 => Site::Join(first as u64),
                // SAFETY: both words belong to one `set`, as the ticket was
                // open all the while; they come from a `&'static str`.
                _ => Site::Queue(unsafe {
                    std::str::from_utf8_unchecked(std::slice::from_raw_parts(
                        first as *const u8,
                        second,
                    ))
                }),
            };
            return Some((site, since));
        }
    }
}
