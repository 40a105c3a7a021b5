//! In which order a queue gives out what it holds.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

/// What a queue keeps its items in.
pub(crate) trait Order: Default {
    type Item;

    fn push(&mut self, item: Self::Item);
    fn pop(&mut self) -> Option<Self::Item>;
    fn len(&self) -> usize;
}

/// First in, first out.
pub(crate) struct Fifo<T>(VecDeque<T>);

/// Last in, first out.
pub(crate) struct Lifo<T>(Vec<T>);

/// The least first; of equal ones, the one that came first.
pub(crate) struct LeastFirst<T> {
    items: BinaryHeap<Reverse<(T, u64)>>,
    pushed: u64,
}

/// Nothing but a number.
#[derive(Default)]
pub(crate) struct Tally(pub(crate) usize);

impl<T> Order for Fifo<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.0.push_back(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Order for Lifo<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.0.push(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T: Ord> Order for LeastFirst<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.pushed += 1;
        self.items.push(Reverse((item, self.pushed)));
    }

    fn pop(&mut self) -> Option<T> {
        self.items.pop().map(|Reverse((item, _))| item)
    }

    fn len(&self) -> usize {
        self.items.len()
    }
}

impl Order for Tally {
    type Item = ();

    fn push(&mut self, (): ()) {
        self.0 += 1;
    }

    fn pop(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }

    fn len(&self) -> usize {
        self.0
    }
}

impl<T> Default for Fifo<T> {
    fn default() -> Fifo<T> {
        Fifo(VecDeque::new())
    }
}

impl<T> Default for Lifo<T> {
    fn default() -> Lifo<T> {
        Lifo(Vec::new())
    }
}

impl<T: Ord> Default for LeastFirst<T> {
    fn default() -> LeastFirst<T> {
        LeastFirst {
            items: BinaryHeap::new(),
            pushed: 0,
        }
    }
}
