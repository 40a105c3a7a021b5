//! The stacks that a hub keeps for its next green threads: those used last.
//!
//! They keep their memory, at most [`KEPT`] of a size. The memory of what is more
//! goes back to the system; so does, but for a few of them ([`hot_stacks`]), that of what nobody
//! took for a [`PERIOD`]. A hub looks at that when it polls; an idle one
//! wakes up for it once or twice after its green threads have ended.
//!
//! A stack stays with the hub on which it was first used. If thread-locals are a
//! green thread's own, their base lies in the stack, and an allocator (mimalloc)
//! takes the base for the name of the OS thread that a heap belongs to: on another
//! hub it would be that of a heap which the first one uses.

use std::io;
use std::time::Duration;

use super::{Arena, Stack};
use crate::clock::Nanos;
use crate::deadline::{AtomicDeadline, Deadline};
use crate::hot_stacks;
use crate::sys::lock::Lock;

/// Stacks of a size that keep their memory: a server that opens and closes a
/// thousand connections at a time finds them all. 5 MiB, if they were used as
/// little as most.
const KEPT: usize = 1024;
/// Given back at once when there are more than [`KEPT`].
const SPILLED: usize = 64;
/// Between two looks at what was not used.
const PERIOD: Duration = Duration::from_secs(1);

/// Any OS thread takes from it; the hub's own gives back.
#[derive(Debug)]
pub(crate) struct Store {
    /// A shelf a size; the first one is that of the usual size.
    shelves: Lock<Vec<Shelf>>,
    /// When what is kept is to be looked through, or never.
    tidy_at: AtomicDeadline,
}

#[derive(Debug)]
struct Shelf {
    arena: &'static Arena,
    /// The one used last is taken first.
    kept: Vec<Stack>,
    /// These hold no memory.
    cold: Vec<Stack>,
    /// The fewest that were kept since the last look: nobody needed those.
    unused: usize,
    /// How many keep their memory in any case.
    hot: usize,
}

impl Shelf {
    /// The one more that there is then beside `others`.
    fn new(arena: &'static Arena, others: &mut [Shelf]) -> Shelf {
        let sizes = others.len() + 1;
        let hot = |arena: &Arena| hot_stacks::count(arena.size, sizes);
        for other in others {
            other.hot = hot(other.arena);
        }
        Shelf {
            hot: hot(arena),
            arena,
            kept: Vec::new(),
            cold: Vec::new(),
            unused: 0,
        }
    }
}

impl Store {
    /// For a hub whose green threads mostly have stacks of `usual` bytes.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` if no address space holds one.
    pub(crate) fn new(usual: usize) -> io::Result<Store> {
        Ok(Store {
            shelves: Lock::new(vec![Shelf::new(Arena::of(usual)?, &mut [])]),
            tidy_at: AtomicDeadline::new(Deadline::NEVER),
        })
    }

    /// A stack of `size` bytes, a multiple of the page size.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` that names the limits.
    pub(crate) fn take(&self, size: usize) -> io::Result<Stack> {
        self.take_kept(size)
            .map_or_else(|| self.take_untouched(size), Ok)
    }

    /// The same, for a green thread that will not run for a while: it takes no
    /// memory until then.
    ///
    /// # Errors
    ///
    /// As [`take`](Store::take).
    pub(crate) fn take_untouched(&self, size: usize) -> io::Result<Stack> {
        let cold = self.on_shelf(size, |shelf| shelf.cold.pop());
        cold.map_or_else(|| Arena::of(size)?.take(), Ok)
    }

    /// One that was used before, if there is any.
    pub(crate) fn take_kept(&self, size: usize) -> Option<Stack> {
        self.on_shelf(size, |shelf| {
            let stack = shelf.kept.pop().or_else(|| shelf.cold.pop());
            shelf.unused = shelf.unused.min(shelf.kept.len());
            stack
        })
    }

    fn on_shelf<T>(&self, size: usize, f: impl FnOnce(&mut Shelf) -> Option<T>) -> Option<T> {
        let mut shelves = self.shelves.lock();
        let shelf = shelves.iter_mut().find(|shelf| shelf.arena.size == size)?;
        f(shelf)
    }

    /// Keeps stacks of a size that has a shelf, without their memory.
    fn put_cold(&self, mut stacks: Vec<Stack>) {
        stacks.iter().for_each(Stack::clear);
        if let Some(size) = stacks.first().map(|stack| stack.arena.size) {
            self.on_shelf(size, |shelf| {
                shelf.cold.append(&mut stacks);
                Some(())
            });
        }
    }

    /// Keeps the stack of a green thread that has ended.
    pub(crate) fn put(&self, stack: Stack, now: Nanos) {
        let arena = stack.arena;
        let mut shelves = self.shelves.lock();
        let at = shelves
            .iter()
            .position(|shelf| std::ptr::eq(shelf.arena, arena));
        let at = at.unwrap_or_else(|| {
            let shelf = Shelf::new(arena, &mut shelves);
            shelves.push(shelf);
            // The others may have more now than they are to keep.
            self.tidy_later(now);
            shelves.len() - 1
        });
        let hot = shelves[at].hot;
        let kept = &mut shelves[at].kept;
        kept.push(stack);
        if kept.len() > hot {
            self.tidy_later(now);
        }
        if kept.len() > KEPT {
            let spilled: Vec<Stack> = kept.drain(..SPILLED).collect();
            shelves[at].unused = shelves[at].unused.saturating_sub(SPILLED);
            drop(shelves);
            self.put_cold(spilled);
        }
    }

    fn tidy_later(&self, now: Nanos) {
        if self.tidy_at().is_never() {
            self.tidy_at.set(Deadline::counted_from(now, PERIOD));
        }
    }

    /// When [`tidy`](Store::tidy) has something to do.
    #[inline]
    pub(crate) fn tidy_at(&self) -> Deadline {
        self.tidy_at.get()
    }

    /// Gives back what was not used since the last time.
    pub(crate) fn tidy(&self, now: Nanos) {
        let mut unused = Vec::new();
        let mut more = false;
        for shelf in self.shelves.lock().iter_mut() {
            let n = shelf.unused.min(shelf.kept.len().saturating_sub(shelf.hot));
            unused.push(shelf.kept.drain(..n).collect());
            shelf.unused = shelf.kept.len();
            more |= shelf.kept.len() > shelf.hot;
        }
        self.tidy_at.set(match more {
            true => Deadline::counted_from(now, PERIOD),
            false => Deadline::NEVER,
        });
        unused.into_iter().for_each(|stacks| self.put_cold(stacks));
    }
}
