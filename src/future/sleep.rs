//! Futures that are ready at an instant.
//!
//! Each hub has a heap of them and a green thread, the *sleeper*, that sleeps until the first is due:
//! so the hub's own timers hold one entry for them all, and a waker is never called in the hub's
//! context. On a plain OS thread the first hub's is used.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::iter;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::clock::Nanos;
use crate::deadline::Deadline;
use crate::error::Elapsed;
use crate::green_thread::Builder;
use crate::hub::site::Site;
use crate::hub::wait::Request;
use crate::hub::{Hub, current, placement};
use crate::sys::lock::Lock;
use crate::timer::{Timed, TimerQueue};
use crate::wait_queue::{QueueEnd, WaitQueue};

use super::herald::wake;

/// A future that is ready once `duration` has passed, from this call on.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let before = Instant::now();
/// green::block_on(green::future::sleep(Duration::from_millis(2)));
/// assert!(before.elapsed() >= Duration::from_millis(2));
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(Deadline::after(duration))
}

/// A future that is ready at `deadline`.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(Deadline::at(deadline))
}

/// Returns the output of `future` if that is ready within `limit` from this call on, and drops it
/// otherwise.
///
/// # Errors
///
/// [`Elapsed`] when the limit has passed.
///
/// # Examples
///
/// ```
/// use std::future::{pending, ready};
/// use std::time::Duration;
///
/// use green::future::timeout;
///
/// let limit = Duration::from_millis(2);
/// assert_eq!(green::block_on(timeout(limit, ready(7))), Ok(7));
/// assert!(green::block_on(timeout(limit, pending::<()>())).is_err());
/// ```
pub fn timeout<F: Future>(
    limit: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    let mut over = sleep(limit);
    async move {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => {
                let over = Pin::new(&mut over).poll(context);
                over.map(|()| Err(Elapsed { refused: false }))
            }
        })
        .await
    }
}

/// Starts what serves sleeps, on each hub. From then on no poll of a sleep can panic, however few stacks are left.
///
/// # Errors
///
/// What keeps a green thread from starting.
#[doc(hidden)]
pub fn prepare_sleeps() -> io::Result<()> {
    let mut hubs = placement::hubs()?.iter();
    hubs.try_for_each(|hub| Sleepers::of(hub).map(drop))
}

/// A future that is ready at an instant; see [`sleep`] and [`sleep_until`].
///
/// It may be polled by any executor. The task that polled last is woken. Dropping it cancels it.
///
/// # Panics
///
/// When polled, if the hub's green thread that serves these futures cannot be started.
#[must_use = "a future does nothing unless it is polled"]
pub struct Sleep {
    deadline: Deadline,
    entry: Option<Arc<Entry>>,
}

impl Sleep {
    fn new(deadline: Deadline) -> Sleep {
        Sleep {
            deadline,
            entry: None,
        }
    }

    /// Makes it ready at `deadline` instead, even if it was ready before.
    pub fn reset(&mut self, deadline: Instant) {
        self.forget();
        self.deadline = Deadline::at(deadline);
    }

    /// Whether its end is to come, and wakes the task that polled last: a poll by that task has nothing to do.
    #[doc(hidden)]
    pub fn is_under_way(&self) -> bool {
        let entry = self.entry.as_ref();
        entry.is_some_and(|entry| entry.place().is_some())
    }

    fn forget(&mut self) {
        if let Some(entry) = &self.entry {
            let kept = entry.home.queue.lock().remove(&**entry);
            // A user's code: outside the locks.
            let waker = entry.waker.lock().take();
            drop((kept, waker));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.deadline.has_passed() {
            self.forget();
            return Poll::Ready(());
        }
        let is_served = |entry: &Arc<Entry>| entry.home.has_sleeper.load(Ordering::SeqCst);
        if !self.entry.as_ref().is_none_or(is_served) {
            // It comes from a simulation that has ended.
            self.forget();
            self.entry = None;
        }
        let deadline = self.deadline;
        let entry = self.entry.get_or_insert_with(|| {
            Arc::new(Entry {
                home: Sleepers::here(),
                place: AtomicUsize::new(NO_PLACE),
                waker: Lock::new(None),
            })
        });
        entry.leave(context.waker());
        entry.home.see_to(entry, deadline);
        if !is_served(entry) {
            // The sleeper has come to nothing meanwhile: the next poll starts another, or says why it cannot.
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.forget();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("left", &self.deadline.remaining())
            .finish_non_exhaustive()
    }
}

/// A sleep's entry in its hub's heap.
struct Entry {
    home: Arc<Sleepers>,
    place: AtomicUsize,
    waker: Lock<Option<Waker>>,
}

const NO_PLACE: usize = usize::MAX;

impl Entry {
    fn leave(&self, waker: &Waker) {
        let same = |left: &Waker| left.will_wake(waker);
        if !self.waker.lock().as_ref().is_some_and(same) {
            // A user's code: outside the lock.
            let new = waker.clone();
            let old = self.waker.lock().replace(new);
            drop(old);
        }
    }

    fn wake(&self) {
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            wake(waker);
        }
    }
}

impl Timed for Entry {
    fn place(&self) -> Option<usize> {
        let place = self.place.load(Ordering::Relaxed);
        (place != NO_PLACE).then_some(place)
    }

    fn set_place(&self, place: Option<usize>) {
        self.place
            .store(place.unwrap_or(NO_PLACE), Ordering::Relaxed);
    }
}

impl Timed for Arc<Entry> {
    fn place(&self) -> Option<usize> {
        (**self).place()
    }

    fn set_place(&self, place: Option<usize>) {
        (**self).set_place(place);
    }
}

/// The sleeps of one hub.
#[derive(Default)]
struct Sleepers {
    queue: Lock<TimerQueue<Arc<Entry>>>,
    /// The green thread that sleeps for them all.
    sleeper: WaitQueue,
    has_sleeper: AtomicBool,
}

impl Sleepers {
    /// Those of the hub that runs here.
    fn here() -> Arc<Sleepers> {
        let hubs = placement::hubs().expect("failed to start the hubs");
        let hub = current::local().map_or(hubs[0], |local| local.hub);
        Sleepers::of(hub).unwrap_or_else(|error| panic!("failed to spawn thread: {error}"))
    }

    /// Those of a hub, with their sleeper.
    fn of(hub: &Hub) -> io::Result<Arc<Sleepers>> {
        let sleepers = hub.services.get::<Sleepers>();
        if !sleepers.has_sleeper.swap(true, Ordering::SeqCst) {
            let sleeper = Sleeper(Arc::clone(&sleepers));
            Builder::new()
                .name("sleeps".to_owned())
                .hub(hub.home.index)
                .serves_the_hub()
                .spawn(move || sleeper.0.run())?;
        }
        Ok(sleepers)
    }

    fn see_to(&self, entry: &Arc<Entry>, deadline: Deadline) {
        let sooner = {
            let mut queue = self.queue.lock();
            let before = queue.next();
            queue.at_latest(&**entry, deadline, || entry.clone());
            queue.next() != before
        };
        if sooner {
            self.sleeper.wake_one();
        }
    }

    fn wake_all(&self) {
        let all: Vec<_> = {
            let mut queue = self.queue.lock();
            iter::from_fn(|| queue.pop_due(Nanos(u64::MAX))).collect()
        };
        all.iter().for_each(|entry| entry.wake());
    }

    fn run(&self) {
        let mut due = Vec::new();
        loop {
            let now = Nanos::now();
            let next = {
                let mut queue = self.queue.lock();
                while let Some(entry) = queue.pop_due(now) {
                    due.push(entry);
                }
                queue.next()
            };
            due.drain(..).for_each(|entry: Arc<Entry>| entry.wake());
            let request = Request {
                site: Site::Queue("the next sleep to end"),
                deadline: next,
                poll_for: None,
            };
            let unchanged = |_| self.queue.lock().next() == next;
            self.sleeper.wait_for(&request, QueueEnd::Back, unchanged);
        }
    }
}

/// The green thread that sleeps for all, from its start to its end, if it has one.
struct Sleeper(Arc<Sleepers>);

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.has_sleeper.store(false, Ordering::SeqCst);
        // Of those who have counted on it, each is to try again.
        self.0.wake_all();
    }
}
