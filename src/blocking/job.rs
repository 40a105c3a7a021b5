//! What the pool and whoever waits know of a call, whatever it calls: so the code of both is compiled once.

use std::sync::Arc;

use crate::green_thread::drop_unrun;
use crate::wait_queue::WaitQueue;

/// A call on its way over the pool.
pub(super) trait Job: Send + Sync {
    /// Makes the call, unless it has been taken back.
    fn make(&self);
    fn has_begun(&self) -> bool;
    /// False if it has begun.
    fn take_back(&self) -> bool;
    fn is_done(&self) -> bool;
    fn caller(&self) -> &WaitQueue;
}

/// What a thread of the pool does with a job.
pub(super) fn make(job: Arc<dyn Job>) {
    job.make();
    job.caller().wake_all();
    // If the caller has gone, the result goes as it would with its green thread: it was cut off.
    drop_unrun(|| drop(job));
}
