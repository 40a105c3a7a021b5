//! A fair queue of parked threads, green and OS alike: what every primitive waits in.
//!
//! A primitive is an atomic state and a [`WaitQueue`]. Whoever cannot go on
//! waits in the queue; whoever changes the state wakes one or all. First come,
//! first served.
//!
//! # No wake-up is lost
//!
//! [`wait`](WaitQueue::wait) looks at `still_needed` under the queue's lock,
//! just before it queues; a waker changes the state first and takes the lock
//! then. So either the waiter sees the change or the waker sees the waiter.
//!
//! A waiter that has been chosen returns [`Wake::Woken`], always: a kill or a
//! time limit that comes after is raised at its next wait. One that has timed
//! out or is being killed is never chosen. So what a waker hands over reaches
//! somebody who takes it.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

pub use crate::hub::wait::Wake;
use crate::sys::lock::Lock;
pub use crate::sys::lock::{Guard as ShortGuard, Lock as ShortLock};

mod waiters;

use self::waiters::Waiters;
use crate::clock::Nanos;
use crate::deadline::Deadline;
use crate::hub::interrupt::{Interrupt, Masked};
use crate::hub::site::Site;
use crate::hub::task::Task;
use crate::hub::wait::{self, Request, Waiter};
use crate::hub::wait_word::Ticket;

/// Now and then lets others run. A call that could wait calls this first, before it tries whether
/// it has to.
///
/// Without it, a green thread that makes such calls in a loop and never has to wait would keep the
/// hub to itself, and what it polls for may be another green thread's work there. This raises
/// no kill or time limit, and does nothing on a plain OS thread. It must not be called under a lock
/// that others may want.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// use green::thread::spawn_local;
/// use green::wait_queue::give_way;
///
/// static STOPPED: AtomicBool = AtomicBool::new(false);
///
/// green::run(|| {
///     spawn_local(|| STOPPED.store(true, Ordering::Relaxed));
///     while !STOPPED.load(Ordering::Relaxed) {
///         give_way();
///     }
/// });
/// ```
#[inline]
pub fn give_way() {
    wait::look_up();
}

/// For a call that may go on for long without a wait, because of what somebody else sends it, say: raises a kill or a
/// time limit that is due, as a wait does, and lets others run if the green thread has had its time.
///
/// It is to be called between two steps, where the call has nothing yet that an unwind would lose, and not under a lock that
/// others may want. Within [`without_waiting`](crate::without_waiting) it raises nothing and runs nobody: once the green thread
/// has had its time, the hub looks at its timers and descriptors before it runs another.
///
/// ```
/// use std::time::Duration;
///
/// use green::wait_queue::checkpoint;
///
/// // Without end, were it not for the limit.
/// let limited = green::timeout(Duration::from_millis(5), || loop {
///     checkpoint();
/// });
/// assert!(limited.is_err());
/// ```
pub fn checkpoint() {
    wait::checkpoint();
}

/// Microseconds of the monotonic clock, wrapping: for a primitive that measures how long a thread
/// waits in its queue.
///
/// ```
/// use green::wait_queue::now_us;
///
/// let before = now_us();
/// green::thread::sleep(std::time::Duration::from_millis(2));
/// assert!(now_us().wrapping_sub(before) >= 2_000);
/// ```
pub fn now_us() -> u32 {
    (Nanos::now().0 / 1_000) as u32
}

/// A first-come, first-served queue of parked threads.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// use green::wait_queue::WaitQueue;
/// use green::{Deadline, thread};
///
/// static READY: AtomicBool = AtomicBool::new(false);
/// static QUEUE: WaitQueue = WaitQueue::new();
///
/// let waiter = thread::spawn(|| {
///     while !READY.load(Ordering::Acquire) {
///         QUEUE.wait("readiness", Deadline::NEVER, || !READY.load(Ordering::Acquire));
///     }
/// });
/// READY.store(true, Ordering::Release);
/// QUEUE.wake_all();
/// waiter.join().unwrap();
/// ```
pub struct WaitQueue {
    /// Length of the list: a look without the lock.
    len: AtomicUsize,
    waiters: Lock<Waiters>,
}

/// A panic leaves the queue as it was, so types made of one keep their unwind
/// safety, as std's have it.
impl RefUnwindSafe for WaitQueue {}

impl UnwindSafe for WaitQueue {}

/// Where in the queue to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueEnd {
    Back,
    /// For a thread that was woken and then found nothing.
    Front,
}

/// Puts the length right again, also if `still_needed` panics.
struct Announced<'a> {
    len: &'a AtomicUsize,
    real: usize,
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        self.len.store(self.real, Ordering::Relaxed);
    }
}

impl WaitQueue {
    /// An empty queue.
    pub const fn new() -> WaitQueue {
        WaitQueue {
            len: AtomicUsize::new(0),
            waiters: Lock::new(Waiters::new()),
        }
    }

    /// Parks the running thread, green or OS, until it is woken or `deadline`
    /// passes.
    ///
    /// `still_needed` runs under the queue's lock; it must not use this queue.
    /// `what` names the object in a report.
    ///
    /// A kill, or a passed [`timeout`](crate::timeout()), unwinds out of this
    /// call, once the thread has left the queue.
    ///
    /// # Panics
    ///
    /// If `still_needed` panics, or waits.
    pub fn wait(
        &self,
        what: &'static str,
        deadline: Deadline,
        still_needed: impl FnOnce() -> bool,
    ) -> Wake {
        let request = Request {
            site: Site::Queue(what),
            deadline,
            poll_for: None,
        };
        self.wait_for(&request, QueueEnd::Back, |_| still_needed())
    }

    /// The general form of [`wait`](WaitQueue::wait); `still_needed` is told
    /// how many wait already.
    pub(crate) fn wait_for(
        &self,
        request: &Request,
        place: QueueEnd,
        still_needed: impl FnOnce(usize) -> bool,
    ) -> Wake {
        wait::wait(
            request,
            |waiter| self.enqueue(waiter, place, still_needed),
            |task, ticket| self.remove(task, ticket),
        )
    }

    /// As [`wait`](WaitQueue::wait) without a deadline, but returns an interrupt instead of raising
    /// it.
    pub(crate) fn wait_quietly(
        &self,
        what: &'static str,
        mask: Option<Masked>,
        still_needed: impl FnOnce() -> bool,
    ) -> Result<Wake, Interrupt> {
        let request = Request {
            site: Site::Queue(what),
            deadline: Deadline::NEVER,
            poll_for: None,
        };
        wait::wait_quietly(
            &request,
            mask,
            |waiter| self.enqueue(waiter, QueueEnd::Back, |_| still_needed()),
            |task, ticket| self.remove(task, ticket),
        )
    }

    /// Queues a waiter, if `still_needed`.
    pub(crate) fn enqueue(
        &self,
        waiter: Waiter,
        place: QueueEnd,
        still_needed: impl FnOnce(usize) -> bool,
    ) -> bool {
        let mut waiters = self.waiters.lock();
        // Counted before the look: a waker changes the state and then looks at
        // the length; we the other way round.
        let mut announced = Announced {
            len: &self.len,
            real: waiters.len(),
        };
        self.len.store(waiters.len() + 1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !still_needed(waiters.len()) {
            return false;
        }
        match place {
            QueueEnd::Back => waiters.push_back(waiter),
            QueueEnd::Front => waiters.push_front(waiter),
        }
        announced.real = waiters.len();
        true
    }

    /// Takes out a waiter that has not been chosen.
    pub(crate) fn remove(&self, task: &Arc<Task>, ticket: Ticket) {
        let mut waiters = self.waiters.lock();
        waiters.remove(task, ticket);
        self.len.store(waiters.len(), Ordering::Relaxed);
    }

    /// Wakes the thread that has waited longest; false if none waits.
    pub fn wake_one(&self) -> bool {
        // Orders the caller's change of state, however weak, before the look.
        fence(Ordering::SeqCst);
        !self.is_empty() && self.wake_one_then(|_, _| ())
    }

    /// As [`wake_one`](WaitQueue::wake_one), and calls `under_lock` with whether somebody was woken
    /// and whether others still wait, before anybody can join or leave the queue. `under_lock` must
    /// not use this queue, which is not checked, and must not wait: either would hold up everybody who
    /// comes to the queue.
    ///
    /// # Panics
    ///
    /// If `under_lock` panics; in debug builds, if it waits.
    pub fn wake_one_then(&self, under_lock: impl FnOnce(bool, bool)) -> bool {
        let mut waiters = self.waiters.lock();
        let mut woken = false;
        while let Some(waiter) = waiters.pop_front() {
            if waiter.wake() {
                woken = true;
                break;
            }
        }
        self.len.store(waiters.len(), Ordering::Relaxed);
        under_lock(woken, !waiters.is_empty());
        woken
    }

    /// Wakes every thread that waits now, in order, and returns how many.
    pub fn wake_all(&self) -> usize {
        fence(Ordering::SeqCst);
        if self.is_empty() {
            return 0;
        }
        let mut waiters = self.waiters.lock();
        let mut woken = 0;
        while let Some(waiter) = waiters.pop_front() {
            woken += usize::from(waiter.wake());
        }
        self.len.store(0, Ordering::Relaxed);
        woken
    }

    /// Whether nobody waits. A thread that is about to queue counts from just
    /// before it evaluates `still_needed`.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len.load(Ordering::SeqCst) == 0
    }

    /// How many threads wait.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }
}

impl Default for WaitQueue {
    fn default() -> WaitQueue {
        WaitQueue::new()
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue")
            .field("waiting", &self.len())
            .finish()
    }
}
