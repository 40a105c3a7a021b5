//! Joining a green thread, watching it, and ending it.
#![expect(unsafe_code, reason = "a handle crosses OS threads if the result may")]

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use super::ending::{Ending, Result};
use super::kill::kill;
use super::link::Link;
use super::packet::Packet;
use super::thread::Thread;
use crate::deadline::Deadline;
use crate::hub::current;
use crate::hub::held;
use crate::hub::site::Site;
use crate::hub::task::{PinnedBody, Task};
use crate::hub::wait::Request;
use crate::wait_queue::{QueueEnd, Wake, give_way};

/// What both kinds of handles hold.
pub(super) struct JoinInner<T> {
    pub(super) thread: Thread,
    pub(super) packet: Arc<Packet<T>>,
}

impl<T> JoinInner<T> {
    pub(super) fn is_finished(&self) -> bool {
        self.packet.finished.load(Ordering::Acquire)
    }

    /// A thread that waited for its own end would never see it.
    fn refuse_self(&self) {
        if current::with(|task| Arc::ptr_eq(task, &self.thread.task)) {
            let error = io::Error::from_raw_os_error(libc::EDEADLK);
            panic!("failed to join thread: {error}");
        }
    }

    /// Where the process ends, the hub of whoever ends it runs nobody else: a wait for such a one had no end.
    #[inline]
    fn refuse_for_good(&self) {
        let is_limited = || current::with(|task| !task.interrupts.limit().0.is_never());
        if held::holds_for_good(&self.thread.task) && !is_limited() {
            panic!("failed to join thread: the process ends, and its hub will not run it any more");
        }
    }

    /// Parks until the end; false if `deadline` passed first.
    fn wait(&self, deadline: Deadline) -> bool {
        self.refuse_self();
        if self.is_finished() {
            give_way();
            return true;
        }
        if deadline.is_never() {
            self.refuse_for_good();
        }
        let request = Request {
            site: Site::Join(self.thread.task.id),
            deadline,
            poll_for: None,
        };
        while !self.is_finished() {
            let wake = self
                .packet
                .joiners
                .wait_for(&request, QueueEnd::Back, |_| !self.is_finished());
            if wake == Wake::TimedOut {
                return self.is_finished();
            }
        }
        true
    }

    pub(super) fn join(self) -> Result<T> {
        self.wait(Deadline::NEVER);
        let result = self.packet.outcome.lock().result.take();
        result.expect("the result was taken when the handle was awaited")
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.refuse_self();
        // A waker is an executor's: its clone and drop are code of others, outside the lock.
        let waker = context.waker().clone();
        let mut outcome = self.packet.outcome.lock();
        if let Some(result) = outcome.result.take() {
            return Poll::Ready(result);
        }
        assert!(
            !self.is_finished(),
            "a join handle was polled after it had given its result"
        );
        let before = outcome.waker.replace(waker);
        drop(outcome);
        drop(before);
        Poll::Pending
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        kill(&self.thread.task)
    }
}

/// A handle to a green thread, or to a spawned future: to join it, or to end it.
///
/// Dropping it detaches the green thread.
///
/// ```
/// use green::thread::{JoinHandle, spawn};
///
/// let handles: Vec<JoinHandle<u32>> = (0..3).map(|n| spawn(move || n * n)).collect();
/// let squares = handles.into_iter().map(|handle| handle.join().unwrap());
/// assert_eq!(squares.sum::<u32>(), 5);
/// ```
pub struct JoinHandle<T>(pub(super) JoinInner<T>);

// SAFETY: as std's. A handle gives access to the result alone, which `spawn`
// asks to be `Send`; `spawn_local` does not, hence the bound.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: `&JoinHandle` reaches the thread's handle and an atomic.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    pub(crate) fn new(task: Arc<Task>, packet: Arc<Packet<T>>) -> JoinHandle<T> {
        let thread = Thread { task };
        JoinHandle(JoinInner { thread, packet })
    }

    /// The green thread's id, name and park token.
    ///
    /// ```
    /// use green::thread::{park, spawn};
    ///
    /// let parked = spawn(park);
    /// println!("green thread {}", parked.thread().id().as_u64());
    /// parked.thread().unpark();
    /// parked.join().unwrap();
    /// ```
    pub fn thread(&self) -> &Thread {
        &self.0.thread
    }

    /// Parks the running thread, green or OS, until the green thread has ended,
    /// and gives its value.
    ///
    /// # Errors
    ///
    /// The payload of its panic, unchanged; [`Killed`](crate::Killed) if it was killed.
    ///
    /// # Panics
    ///
    /// If a green thread joins itself, as in std; while it ends the process, if it joins one of its own hub, which will not run
    /// any more.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::thread::spawn;
    ///
    /// assert_eq!(spawn(|| 6 * 7).join().unwrap(), 42);
    /// ```
    pub fn join(self) -> Result<T> {
        self.0.join()
    }

    /// Whether the green thread has ended: then [`join`](JoinHandle::join) does
    /// not wait.
    ///
    /// ```
    /// use green::thread::{park, spawn};
    ///
    /// let handle = spawn(park);
    /// assert!(!handle.is_finished());
    /// handle.thread().unpark();
    /// handle.wait();
    /// assert!(handle.is_finished());
    /// ```
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Whether the green thread has begun to run on its hub, even if only to end because it had been killed
    /// before.
    ///
    /// From then on a [`kill`](JoinHandle::kill) cannot keep the closure from running: it takes effect in the
    /// closure's next wait that is not [shielded](crate::shield()), and no sooner.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::thread::{spawn, spawn_after};
    ///
    /// let later = spawn_after(Duration::from_secs(3600), || ());
    /// assert!(!later.is_started());
    /// later.cancel();
    ///
    /// let soon = spawn(|| ());
    /// soon.wait();
    /// assert!(soon.is_started());
    /// ```
    pub fn is_started(&self) -> bool {
        !self
            .0
            .thread
            .task
            .green()
            .is_some_and(|green| green.awaits_its_body())
    }

    /// Parks the running thread until the green thread has ended, and keeps the
    /// result: [`join`](JoinHandle::join) gives it afterwards without waiting.
    ///
    /// Unlike a `join` that is cut short by a kill or a
    /// [`timeout`](crate::timeout()), this loses no result.
    ///
    /// ```
    /// use green::thread::spawn;
    ///
    /// let handle = spawn(|| 7);
    /// handle.wait();
    /// assert!(handle.is_finished());
    /// assert_eq!(handle.join().unwrap(), 7);
    /// ```
    ///
    /// # Panics
    ///
    /// If a green thread waits for its own end.
    pub fn wait(&self) {
        self.0.wait(Deadline::NEVER);
    }

    /// As [`wait`](JoinHandle::wait), for no longer than `limit`; false if it
    /// passed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::thread::{park, spawn};
    ///
    /// let handle = spawn(park);
    /// assert!(!handle.wait_timeout(Duration::from_millis(1)));
    /// handle.thread().unpark();
    /// assert!(handle.wait_timeout(Duration::from_secs(60)));
    /// handle.join().unwrap();
    /// ```
    ///
    /// # Panics
    ///
    /// As [`wait`](JoinHandle::wait).
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.0.wait(Deadline::after(limit))
    }

    /// Runs `f` when the green thread ends, and tells it how that happened: in that green thread, before
    /// anybody who joins it goes on. If it has ended already, `f` runs at once, right here.
    ///
    /// Links run in the order in which they were made. No kill interrupts them, and joiners wait for them, so
    /// they should be short. If `f` panics, only the panic hook is told.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// use green::thread::{self, Ending};
    ///
    /// let (endings, watched) = mpsc::channel();
    /// let worker = thread::spawn(thread::park);
    /// worker.link(move |ending| endings.send(ending).unwrap());
    /// worker.kill().unwrap();
    /// assert_eq!(watched.recv(), Ok(Ending::Killed));
    /// ```
    pub fn link(&self, f: impl FnOnce(Ending) + Send + 'static) -> Link {
        self.0.packet.links.add(Box::new(f))
    }

    /// Removes a link, and returns whether it was still there: then its function is dropped and does not run.
    ///
    /// ```
    /// use green::thread::{park, spawn};
    ///
    /// let worker = spawn(park);
    /// let link = worker.link(|ending| unreachable!("it was {ending:?}"));
    /// assert!(worker.unlink(link));
    /// assert!(!worker.unlink(link));
    /// worker.kill().unwrap();
    /// let _ = worker.join();
    /// ```
    pub fn unlink(&self, link: Link) -> bool {
        self.0.packet.links.remove(link)
    }

    /// Ends the green thread: the wait that it is in, or its next one, unwinds.
    /// If it has not run yet, it never will. If it has ended, nothing happens.
    ///
    /// If a green thread of the same hub calls this, the victim begins to unwind before the caller goes on. A
    /// green thread that catches the unwind meets it again at its next wait.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::{Killed, thread::{sleep, spawn}};
    ///
    /// let sleeper = spawn(|| sleep(Duration::from_secs(3600)));
    /// sleeper.kill()?;
    /// assert!(sleeper.join().unwrap_err().is::<Killed>());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Unsupported` in a program built with `panic = "abort"`.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::thread::{park, spawn};
    ///
    /// let handle = spawn(park);
    /// handle.kill().unwrap();
    /// assert!(handle.join().is_err());
    /// ```
    pub fn kill(&self) -> io::Result<()> {
        self.0.kill()
    }

    /// Keeps the green thread from running, if it has not started yet, and returns whether that was so; one
    /// that has started is left alone.
    ///
    /// One that is to start later (see [`Builder::after`](super::Builder::after))
    /// ends at once, and its join gives [`Killed`](crate::Killed).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::thread::{spawn, spawn_after};
    ///
    /// let later = spawn_after(Duration::from_secs(3600), || ());
    /// assert!(later.cancel());
    /// assert!(later.join().is_err());
    ///
    /// let done = spawn(|| 7);
    /// done.wait();
    /// assert!(!done.cancel());
    /// assert_eq!(done.join().unwrap(), 7);
    /// ```
    pub fn cancel(&self) -> bool {
        let task = &self.0.thread.task;
        task.green().is_some_and(|green| {
            let body = green.body.lock();
            body.as_ref().is_some_and(PinnedBody::is_new) && {
                task.kill();
                true
            }
        })
    }
}

/// Awaits the end of the green thread from `async` code, on any executor, and
/// gives what [`join`](JoinHandle::join) gives.
///
/// Dropping the future is dropping the handle: the green thread goes on. To
/// give up waiting and keep the handle, await `&mut handle`; nothing is lost,
/// and the handle can be awaited or joined afterwards. The task that polled
/// last is the one that is woken.
///
/// # Panics
///
/// Polling panics once the result has been given, as joining then does, and if
/// a green thread awaits itself.
///
/// ```
/// use green::thread::spawn;
///
/// async fn sum() -> u32 {
///     let (a, b) = (spawn(|| 40), spawn(|| 2));
///     a.await.unwrap() + b.await.unwrap()
/// }
/// # use std::{pin::pin, sync::Arc, task::{Context, Poll, Wake}, thread};
/// # struct Unpark(thread::Thread);
/// # impl Wake for Unpark { fn wake(self: Arc<Self>) { self.0.unpark() } }
/// # let waker = Arc::new(Unpark(thread::current())).into();
/// # let mut future = pin!(sum());
/// # loop {
/// #     match future.as_mut().poll(&mut Context::from_waker(&waker)) {
/// #         Poll::Ready(sum) => break assert_eq!(sum, 42),
/// #         Poll::Pending => thread::park(),
/// #     }
/// # }
/// ```
impl<T> Future for JoinHandle<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.0.poll(context)
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}
