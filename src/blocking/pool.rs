//! The pool's threads: started when a job finds none idle, ended when idle.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::Job;
use crate::config::settings;
use crate::contain::contain;
use crate::sys::fork;

const IDLE: Duration = Duration::from_secs(10);

struct Pool {
    jobs: Sender<Arc<dyn Job>>,
    queue: Receiver<Arc<dyn Job>>,
    census: Mutex<Census>,
}

/// Threads alive, and jobs that they have taken on or still have to.
#[derive(Default)]
struct Census {
    threads: usize,
    jobs: usize,
    /// Whether it has been logged that there cannot be more threads.
    told: bool,
}

static POOL: LazyLock<Pool> = LazyLock::new(|| {
    let (jobs, queue) = crossbeam_channel::unbounded();
    Pool {
        jobs,
        queue,
        census: Mutex::new(Census::default()),
    }
});

impl Pool {
    fn census(&self) -> MutexGuard<'_, Census> {
        // Each change of it is whole.
        self.census.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands `job` to a thread of the pool. In a child of fork(2), which has none, it runs right here.
pub(super) fn submit(job: Arc<dyn Job>) {
    if fork::is_child() {
        contain(|| job.make());
        return;
    }
    // Where there is no memory for it, the next job tries again.
    let _ = fork::watch();
    let most = settings().blocking_threads;
    let pool = &*POOL;
    let mut census = pool.census();
    census.jobs += 1;
    let mut refused = None;
    if census.jobs > census.threads && census.threads < most {
        match start() {
            Ok(()) => {
                census.threads += 1;
                census.told = false;
            }
            // The threads that exist will take it on.
            Err(error) if census.threads > 0 => {
                // Once: a logger may be who calls, and be called again.
                let told = std::mem::replace(&mut census.told, true);
                refused = (!told).then_some(error);
            }
            Err(error) => {
                census.jobs -= 1;
                drop(census);
                panic!("failed to spawn thread: {error}");
            }
        }
    }
    drop(census);
    // The pool holds the receiver itself, so it cannot be disconnected.
    let _ = pool.jobs.send(job);
    if let Some(error) = refused {
        log::warn!("the blocking pool could not grow: {error}");
    }
}

/// Whether a job is under way or waits for a thread.
pub(crate) fn busy() -> bool {
    POOL.census().jobs > 0
}

fn start() -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::thread::Builder::new()
        .name(format!("green-blocking-{number}"))
        .spawn(work)
        .map(drop)
}

fn work() {
    // A green thread may have started this one, on a hub, which blocks signals.
    // Here they are as good as anywhere, and a child process that is started
    // here inherits the mask.
    crate::sys::signal::restore_mask();
    let pool = &*POOL;
    loop {
        if let Ok(job) = pool.queue.recv_timeout(IDLE) {
            contain(|| job.make());
            pool.census().jobs -= 1;
            continue;
        }
        let mut census = pool.census();
        // Otherwise a job that was counted and not yet received would be lost.
        if census.jobs < census.threads {
            census.threads -= 1;
            return;
        }
    }
}
