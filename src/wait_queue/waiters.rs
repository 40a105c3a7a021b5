//! The list in a wait queue: a deque whose first element needs no allocation.
//!
//! Nearly every queue holds one waiter at most: a connection its reader, a
//! green thread its joiner.
//!
//! *Invariant*: if there is no first, there is no other.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::hub::task::Task;
use crate::hub::wait::Waiter;
use crate::hub::wait_word::Ticket;

pub(super) struct Waiters {
    first: Option<Waiter>,
    others: VecDeque<Waiter>,
}

impl Waiters {
    pub(super) const fn new() -> Waiters {
        Waiters {
            first: None,
            others: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn push_back(&mut self, waiter: Waiter) {
        if self.first.is_none() {
            self.first = Some(waiter);
        } else {
            self.others.push_back(waiter);
        }
    }

    pub(super) fn push_front(&mut self, waiter: Waiter) {
        if let Some(second) = self.first.replace(waiter) {
            self.others.push_front(second);
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Waiter> {
        let next = self.first.take();
        if !self.others.is_empty() {
            self.first = self.others.pop_front();
        }
        next
    }

    /// Takes out the waiter of this ticket, if it is there.
    pub(super) fn remove(&mut self, task: &Arc<Task>, ticket: Ticket) {
        let is_it = |waiter: &Waiter| waiter.ticket == ticket && Arc::ptr_eq(&waiter.task, task);
        if self.first.as_ref().is_some_and(is_it) {
            self.pop_front();
        } else if let Some(at) = self.others.iter().position(is_it) {
            self.others.remove(at);
        }
    }
}
