//! [`Barrier`] and its [`BarrierWaitResult`].

use std::{fmt, sync::PoisonError};

use super::{Condvar, Mutex, MutexGuard};

/// A meeting point of a fixed number of threads, as [`std::sync::Barrier`], that parks green
/// threads.
///
/// # Differences from std
///
/// A green thread that is killed while it waits no longer counts: another must come in its place.
///
/// # Examples
///
/// ```
/// use green::sync::{Arc, Barrier};
/// use std::thread;
///
/// let barrier = Arc::new(Barrier::new(3));
/// let threads: Vec<_> = (0..3)
///     .map(|_| {
///         let barrier = Arc::clone(&barrier);
///         thread::spawn(move || barrier.wait().is_leader())
///     })
///     .collect();
/// let leaders = threads.into_iter().map(|thread| thread.join().unwrap());
/// assert_eq!(leaders.filter(|leader| *leader).count(), 1);
/// ```
pub struct Barrier {
    round: Mutex<Round>,
    full: Condvar,
    size: usize,
}

struct Round {
    number: usize,
    arrived: usize,
}

/// What a thread learns from [`Barrier::wait`].
pub struct BarrierWaitResult {
    leader: bool,
}

impl Barrier {
    /// Creates a barrier for `n` threads. With 0 it behaves as with 1.
    #[must_use]
    #[inline]
    pub const fn new(n: usize) -> Barrier {
        Barrier {
            round: Mutex::new(Round {
                number: 0,
                arrived: 0,
            }),
            full: Condvar::new(),
            size: n,
        }
    }

    /// Waits until all have come, the caller included. One of them is told that it leads; the
    /// barrier can be used again at once.
    pub fn wait(&self) -> BarrierWaitResult {
        let mut round = self.round();
        round.arrived += 1;
        if round.arrived >= self.size {
            round.arrived = 0;
            round.number = round.number.wrapping_add(1);
            drop(round);
            self.full.notify_all();
            return BarrierWaitResult { leader: true };
        }
        let arrival = Arrival {
            barrier: self,
            number: round.number,
        };
        while round.number == arrival.number {
            round = self
                .full
                .wait(round)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(round);
        std::mem::forget(arrival);
        BarrierWaitResult { leader: false }
    }

    /// No holder can panic between two changes, so poison would mean nothing.
    fn round(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That a waiting thread is counted in a round; taken back if the thread is killed.
struct Arrival<'a> {
    barrier: &'a Barrier,
    number: usize,
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        let mut round = self.barrier.round();
        if round.number == self.number {
            round.arrived -= 1;
        }
    }
}

impl BarrierWaitResult {
    /// True for one thread of each round.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leader
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

impl fmt::Debug for BarrierWaitResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWaitResult")
            .field("is_leader", &self.is_leader())
            .finish()
    }
}

#[cfg(test)]
mod tests;
