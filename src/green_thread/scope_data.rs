//! What a scope knows about its green threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::deadline::Deadline;
use crate::wait_queue::WaitQueue;

/// How many of a scope's green threads are alive, and how they ended.
#[derive(Debug, Default)]
pub(super) struct ScopeData {
    running: AtomicUsize,
    panicked: AtomicBool,
    parent: WaitQueue,
}

impl ScopeData {
    pub(super) fn begin(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, panicked: bool) {
        if panicked {
            self.panicked.store(true, Ordering::Relaxed);
        }
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.parent.wake_all();
        }
    }

    pub(super) fn has_panicked(&self) -> bool {
        self.panicked.load(Ordering::Relaxed)
    }

    pub(super) fn wait_for_all(&self) {
        let running = || self.running.load(Ordering::Acquire) != 0;
        while running() {
            self.parent.wait("end of a scope", Deadline::NEVER, running);
        }
    }
}
