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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Nanos = Nanos(1_000_000_000);
    /// Of sizes up to half a MiB, where there is no other.
    const HOT: usize = 16;

    fn kept_and_cold(store: &Store, size: usize) -> (usize, usize) {
        let shelves = store.shelves.lock();
        let shelf = shelves.iter().find(|shelf| shelf.arena.size == size);
        shelf.map_or((0, 0), |shelf| (shelf.kept.len(), shelf.cold.len()))
    }

    /// Used stacks: the lowest byte of each is 7.
    fn used(store: &Store, size: usize, count: usize) -> Vec<Stack> {
        let take = |_| {
            let stack = store.take(size).unwrap();
            stack.set_lowest_byte(7);
            stack
        };
        (0..count).map(take).collect()
    }

    #[test]
    fn the_stack_used_last_is_taken_first_and_sizes_are_kept_apart() {
        const SIZE: usize = 5 << 16;
        let store = Store::new(SIZE).unwrap();
        let tops: Vec<_> = used(&store, SIZE, 2)
            .into_iter()
            .map(|stack| {
                let top = stack.top();
                store.put(stack, NOW);
                top
            })
            .collect();
        assert!(store.take_kept(2 * SIZE).is_none());
        let again = [(); 2].map(|()| store.take_kept(SIZE).unwrap().top());
        assert_eq!(again, [tops[1], tops[0]]);
        assert!(store.take_kept(SIZE).is_none());
    }

    #[test]
    fn stacks_that_nobody_took_for_a_period_give_their_memory_back_but_for_a_few() {
        const SIZE: usize = 6 << 16;
        let store = Store::new(SIZE).unwrap();
        for (n, stack) in used(&store, SIZE, HOT + 4).into_iter().enumerate() {
            assert_eq!(store.tidy_at().is_never(), n <= HOT, "{n}");
            // From the first one too many on.
            store.put(stack, NOW.later_by(n as u32 * PERIOD / 100));
        }
        let first = NOW.later_by(HOT as u32 * PERIOD / 100 + PERIOD);
        assert_eq!(store.tidy_at(), first.into());

        // All were used since the look before.
        store.tidy(first);
        assert_eq!(kept_and_cold(&store, SIZE), (HOT + 4, 0));
        let second = first.later_by(PERIOD);
        assert_eq!(store.tidy_at(), second.into());

        // Three are used, so one of the four is not, nor are those that stay in any case.
        let busy = used(&store, SIZE, HOT + 3);
        busy.into_iter().for_each(|stack| store.put(stack, second));
        store.tidy(second);
        assert_eq!(kept_and_cold(&store, SIZE), (HOT + 3, 1));
        store.tidy(second.later_by(PERIOD));
        assert_eq!(kept_and_cold(&store, SIZE), (HOT, 4));
        assert!(store.tidy_at().is_never());

        // Those with memory are taken first, and only the others have lost what was in it.
        let all: Vec<_> = (0..HOT + 4)
            .map(|_| store.take_kept(SIZE).unwrap())
            .collect();
        let bytes: Vec<_> = all.iter().map(Stack::lowest_byte).collect();
        assert_eq!(bytes[..HOT], [7; HOT]);
        assert_eq!(bytes[HOT..], [0; 4]);
    }

    #[test]
    fn what_is_more_than_a_hub_keeps_gives_its_memory_back_at_once() {
        const SIZE: usize = 1 << 16;
        let store = Store::new(SIZE).unwrap();
        let stacks = used(&store, SIZE, KEPT + 1);
        for stack in stacks {
            assert_eq!(kept_and_cold(&store, SIZE).1, 0);
            store.put(stack, NOW);
        }
        assert_eq!(kept_and_cold(&store, SIZE), (KEPT + 1 - SPILLED, SPILLED));
        // One that is to hold no memory is one of those.
        let cold = store.take_untouched(SIZE).unwrap();
        assert_eq!(cold.lowest_byte(), 0);
        assert_eq!(kept_and_cold(&store, SIZE).1, SPILLED - 1);
    }

    #[test]
    fn of_several_sizes_fewer_stay_and_the_others_are_looked_through() {
        const LARGE: usize = 2 << 20;
        const OTHER: usize = 1 << 20;
        let store = Store::new(LARGE).unwrap();
        // Four of them are 8 MiB.
        let large = used(&store, LARGE, 4);
        large.into_iter().for_each(|stack| store.put(stack, NOW));
        assert!(store.tidy_at().is_never());
        let other = used(&store, OTHER, 1);
        other.into_iter().for_each(|stack| store.put(stack, NOW));
        // Now each size may have 4 MiB.
        assert_eq!(store.tidy_at(), NOW.later_by(PERIOD).into());
        store.tidy(NOW.later_by(PERIOD));
        store.tidy(NOW.later_by(2 * PERIOD));
        assert_eq!(kept_and_cold(&store, LARGE), (2, 2));
        assert_eq!(kept_and_cold(&store, OTHER), (1, 0));
        assert!(store.tidy_at().is_never());
    }
}
