//! [`RawMutex`]: the lock inside a mutex.
#![expect(unsafe_code, reason = "lock_api's traits are unsafe")]

use std::fmt;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use crate::shield;
use crate::sync::lock::Lock;
use greenhub::Deadline;

/// A lock without data.
pub struct RawMutex(Lock);

// SAFETY: `Lock` has one owner at a time. `lock` returns as the owner or not at all: no unwind
// comes out of it, as lock_api expects where it locks again in a destructor.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: RawMutex = RawMutex(Lock::new());

    type GuardMarker = lock_api::GuardNoSend;

    fn lock(&self) {
        shield(|| self.0.lock());
    }

    fn try_lock(&self) -> bool {
        self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        self.0.unlock();
    }

    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

// SAFETY: unlocking is fair as it is.
unsafe impl lock_api::RawMutexFair for RawMutex {
    unsafe fn unlock_fair(&self) {
        self.0.unlock();
    }
}

// SAFETY: true means that the lock was taken.
unsafe impl lock_api::RawMutexTimed for RawMutex {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_for(&self, timeout: Duration) -> bool {
        shield(|| self.0.lock_until(Deadline::after(timeout)))
    }

    fn try_lock_until(&self, timeout: Instant) -> bool {
        shield(|| self.0.lock_until(Deadline::at(timeout)))
    }
}

impl fmt::Debug for RawMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawMutex").finish_non_exhaustive()
    }
}

/// Who owns a [`ReentrantMutex`](super::ReentrantMutex): a green thread, or a plain OS thread.
#[derive(Clone, Copy, Debug)]
pub struct RawThreadId;

// SAFETY: no two threads of a process, green or OS, have one number.
unsafe impl lock_api::GetThreadId for RawThreadId {
    const INIT: RawThreadId = RawThreadId;

    fn nonzero_thread_id(&self) -> NonZeroUsize {
        let id = greenhub::green_thread::current().id().as_u64();
        NonZeroUsize::try_from(id).expect("green runs where a word has 64 bits")
    }
}
