//! The green threads of a server's connections: how many there may be, and how they end.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Relaxed, Release},
};
use std::time::Duration;

use greenhub::wait_queue::ShortLock;

use crate::semaphore::Semaphore;
use crate::thread::JoinHandle;
use crate::wait_queue::WaitQueue;
use greenhub::Deadline;

/// How long those that were ended may take to unwind.
const UNWINDING: Duration = Duration::from_secs(1);

/// How many there are, may be and were, for whoever asks at any time.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) most: AtomicUsize,
    pub(super) begun: AtomicU64,
    pub(super) ended: AtomicU64,
}

pub(super) struct Connections {
    /// A permit for each connection that may still begin.
    pub(super) room: Semaphore,
    count: Arc<Count>,
    /// Those under way. A thread may be done before its handle is here.
    running: ShortLock<HashMap<u64, Option<JoinHandle<()>>>>,
    /// Whoever waits for the last to end.
    gone: WaitQueue,
}

impl Connections {
    pub(super) fn new(count: Arc<Count>) -> Arc<Connections> {
        Arc::new(Connections {
            room: Semaphore::new(count.most.load(Relaxed)),
            count,
            running: ShortLock::default(),
            gone: WaitQueue::new(),
        })
    }

    /// Runs a connection by `start`, which gives its entry to the green thread that it starts. The caller has
    /// a permit of `room`, which is given back with the entry.
    pub(super) fn begin(
        self: &Arc<Self>,
        start: impl FnOnce(Entry) -> io::Result<JoinHandle<()>>,
    ) -> io::Result<()> {
        let number = self.count.begun.fetch_add(1, Relaxed);
        self.running.lock().insert(number, None);
        let entry = Entry {
            connections: self.clone(),
            number,
        };
        let started = start(entry)?;
        if let Some(place) = self.running.lock().get_mut(&number) {
            *place = Some(started);
        }
        Ok(())
    }

    /// Waits for all to end, no longer than `grace`, then ends the others, and returns how many
    /// those were.
    pub(super) fn drain(&self, grace: Duration) -> usize {
        if self.wait(grace) {
            return 0;
        }
        let cut = self.cut();
        self.wait(UNWINDING);
        cut
    }

    /// Ends all that are under way.
    pub(super) fn cut(&self) -> usize {
        let handles: Vec<_> = {
            let mut running = self.running.lock();
            running.values_mut().filter_map(Option::take).collect()
        };
        // A killer gives way to its victim: not under the lock.
        for handle in &handles {
            if let Err(error) = handle.kill() {
                log::warn!("a connection cannot be ended: {error}");
            }
        }
        handles.len()
    }

    /// Says whether all have ended within `limit`.
    fn wait(&self, limit: Duration) -> bool {
        let deadline = Deadline::after(limit);
        let busy = || !self.running.lock().is_empty();
        while busy() {
            if deadline.has_passed() {
                return false;
            }
            self.gone.wait("connections", deadline, busy);
        }
        true
    }
}

/// A connection's place, given up when its green thread ends, in whichever way.
pub(super) struct Entry {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let ended = self.connections.running.lock().remove(&self.number);
        drop(ended);
        self.connections.count.ended.fetch_add(1, Release);
        self.connections.room.release();
        self.connections.gone.wake_all();
    }
}
