//! How a task comes to run: woken, or taken on as new.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::home::Home;
use super::task::{Kind, Task};
use super::wait_word::{Phase, Ticket};
use super::{Hub, current};

impl Task {
    /// Ends the wait of `ticket`, if it is still open, and makes sure that the thread runs again.
    /// Returns whether this call ended the wait.
    pub(crate) fn wake(self: &Arc<Task>, ticket: Ticket, why: Phase) -> bool {
        let won = self.word.close(ticket, why);
        if won {
            match &self.kind {
                Kind::Green(green) => schedule(green.home, self.clone()),
                Kind::Os(parker) => parker.notify(),
            }
        }
        won
    }

    /// As [`wake`](Task::wake), for a caller that has no further use for its
    /// handle.
    pub(crate) fn wake_owned(self: Arc<Task>, ticket: Ticket, why: Phase) -> bool {
        let won = self.word.close(ticket, why);
        if won {
            match &self.kind {
                Kind::Green(green) => {
                    let home = green.home;
                    schedule(home, self);
                }
                Kind::Os(parker) => parker.notify(),
            }
        }
        won
    }
}

impl Hub {
    /// Takes a new green thread on. It runs in its turn.
    pub(crate) fn adopt(&'static self, task: Arc<Task>) {
        self.list(&task);
        schedule(&self.home, task);
    }

    /// Takes note of a green thread of this hub.
    pub(super) fn list(&self, task: &Arc<Task>) {
        if let Kind::Green(green) = &task.kind {
            let mut threads = self.threads.lock();
            let key = threads.insert(task.clone());
            green.listed.store(key, Ordering::Relaxed);
            self.count_load(&mut threads, 1);
        }
        #[cfg(feature = "sim")]
        if let Some(world) = crate::world::here() {
            world.starts(task.id);
        }
    }
}

/// Lets a task that was woken, or is new, run in its turn.
fn schedule(home: &Home<Arc<Task>>, task: Arc<Task>) {
    match current::local() {
        Some(local) if ptr::eq(&local.hub.home, home) => local.push(task),
        _ => home.post(task),
    }
}
