//! The pool's threads: started when a job finds none idle, ended when idle.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::job::{Job, make};
use crate::config::settings;
use crate::contain::contain;
use crate::sys::fork;

const IDLE: Duration = Duration::from_secs(10);

static POOL: Pool = Pool {
    state: Mutex::new(State {
        waiting: VecDeque::new(),
        jobs: 0,
        threads: 0,
        told: false,
    }),
    came: Condvar::new(),
};

struct Pool {
    state: Mutex<State>,
    /// Notified of each job.
    came: Condvar,
}

struct State {
    /// Jobs that no thread has taken on yet.
    waiting: VecDeque<Arc<dyn Job>>,
    /// These and those under way.
    jobs: usize,
    threads: usize,
    /// Whether it has been logged that there cannot be more threads.
    told: bool,
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of it is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job for the thread that calls; `None` if it has been idle for long, and is not counted any more.
    fn next(&self) -> Option<Arc<dyn Job>> {
        let is_idle = |state: &mut State| state.waiting.is_empty();
        let (mut state, _) = self
            .came
            .wait_timeout_while(self.state(), IDLE, is_idle)
            .unwrap_or_else(PoisonError::into_inner);
        let job = state.waiting.pop_front();
        if job.is_none() {
            state.threads -= 1;
        }
        job
    }
}

/// Hands `job` to a thread of the pool. In a child of fork(2), which has none, it runs right here.
pub(super) fn submit(job: Arc<dyn Job>) {
    if fork::is_child() {
        contain(|| make(job));
        return;
    }
    // Where there is no memory for it, the next job tries again.
    let _ = fork::watch();
    let most = settings().blocking_threads;
    let mut state = POOL.state();
    let mut refused = None;
    if state.jobs >= state.threads && state.threads < most {
        match start() {
            Ok(()) => {
                state.threads += 1;
                state.told = false;
            }
            // The threads that exist will take it on.
            Err(error) if state.threads > 0 => {
                // Once: a logger may be who calls, and be called again.
                let told = std::mem::replace(&mut state.told, true);
                refused = (!told).then_some(error);
            }
            Err(error) => {
                drop(state);
                panic!("failed to spawn thread: {error}");
            }
        }
    }
    state.jobs += 1;
    state.waiting.push_back(job);
    drop(state);
    POOL.came.notify_one();
    if let Some(error) = refused {
        log::warn!("the blocking pool could not grow: {error}");
    }
}

/// Whether a job is under way or waits for a thread.
pub(crate) fn busy() -> bool {
    POOL.state().jobs > 0
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
    while let Some(job) = POOL.next() {
        contain(|| make(job));
        POOL.state().jobs -= 1;
    }
}
