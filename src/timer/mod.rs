//! The timer queue: a heap of deadlines whose entries know their place.
//!
//! Each green thread has at most one entry. A new deadline that is later than
//! the entry's costs nothing: it is looked at when the entry fires. So a read
//! with a time-out that ends in time neither adds nor removes anything.

use crate::clock::Nanos;
use crate::deadline::Deadline;

/// Who has a timer. It keeps its entry's place in the heap for the queue.
pub(crate) trait Timed {
    /// The place last set, `None` if there is no entry.
    fn place(&self) -> Option<usize>;
    fn set_place(&self, place: Option<usize>);
}

#[derive(Debug)]
struct Entry<T> {
    when: Deadline,
    /// Breaks ties: of two entries for one instant, the older fires first.
    sequence: u64,
    owner: T,
}

impl<T> Entry<T> {
    fn key(&self) -> (Deadline, u64) {
        (self.when, self.sequence)
    }
}

/// Children of a node of the heap. Four are as many comparisons as two a level
/// with half of the levels, and each level costs a look at an owner, which in a
/// large heap is in no cache.
const CHILDREN: usize = 4;

/// A min-heap ordered by deadline, then by age.
#[derive(Debug)]
pub(crate) struct TimerQueue<T> {
    heap: Vec<Entry<T>>,
    sequence: u64,
}

impl<T: Timed> Default for TimerQueue<T> {
    fn default() -> TimerQueue<T> {
        TimerQueue::new()
    }
}

impl<T: Timed> TimerQueue<T> {
    pub(crate) const fn new() -> TimerQueue<T> {
        TimerQueue {
            heap: Vec::new(),
            sequence: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// When the earliest entry fires.
    pub(crate) fn next(&self) -> Deadline {
        self.heap
            .first()
            .map_or(Deadline::NEVER, |entry| entry.when)
    }

    /// Makes sure that `owner` has an entry that fires at `when` or before.
    /// `owner()` makes the handle to keep, called only for a new entry.
    #[inline]
    pub(crate) fn at_latest(
        &mut self,
        timed: &impl Timed,
        when: Deadline,
        owner: impl FnOnce() -> T,
    ) {
        let place = match timed.place() {
            Some(place) if self.heap[place].when <= when => return,
            Some(place) => place,
            None => {
                self.heap.push(Entry {
                    when,
                    sequence: 0,
                    owner: owner(),
                });
                self.heap.len() - 1
            }
        };
        self.sequence += 1;
        self.heap[place].when = when;
        self.heap[place].sequence = self.sequence;
        self.rise(place);
    }

    /// Takes the earliest entry out if it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Nanos) -> Option<T> {
        let due = self.heap.first()?.when.has_passed_at(now);
        due.then(|| self.remove_at(0))
    }

    /// Takes the entry of `timed` out, if there is one.
    pub(crate) fn remove(&mut self, timed: &impl Timed) -> Option<T> {
        timed.place().map(|place| self.remove_at(place))
    }

    fn remove_at(&mut self, place: usize) -> T {
        let entry = self.heap.swap_remove(place);
        entry.owner.set_place(None);
        if place < self.heap.len() {
            let risen = self.rise(place);
            self.sink(risen);
        }
        entry.owner
    }

    /// Moves the entry at `place` up to where it belongs, and tells everybody
    /// whose place has changed, and its owner.
    fn rise(&mut self, mut place: usize) -> usize {
        while place > 0 {
            let parent = (place - 1) / CHILDREN;
            if self.heap[parent].key() <= self.heap[place].key() {
                break;
            }
            self.heap.swap(parent, place);
            self.settle(place);
            place = parent;
        }
        self.settle(place);
        place
    }

    /// The same downwards.
    fn sink(&mut self, mut place: usize) {
        loop {
            let first = CHILDREN * place + 1;
            let children = first..(first + CHILDREN).min(self.heap.len());
            let Some(child) = children.min_by_key(|&child| self.heap[child].key()) else {
                break;
            };
            if self.heap[place].key() <= self.heap[child].key() {
                break;
            }
            self.heap.swap(place, child);
            self.settle(place);
            place = child;
        }
        self.settle(place);
    }

    fn settle(&self, place: usize) {
        self.heap[place].owner.set_place(Some(place));
    }
}

#[cfg(test)]
mod tests;
