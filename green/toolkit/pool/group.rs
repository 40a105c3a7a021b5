//! Green threads that belong together: killed, and waited for, as one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fmt, io};

use greenhub::Deadline;
use greenhub::wait_queue::{ShortLock, WaitQueue, Wake, give_way};

use crate::thread::{self, JoinHandle, Thread, ThreadId};

/// Green threads that are killed, and waited for, together: gevent's `Group`.
///
/// A green thread that ends leaves the group by itself, so a server may start one for each piece of
/// background work and keep the group for as long as it runs. Results come by the handles, which stay
/// with their owners; join a handle to wait for the destructors of its thread-locals, too. A clone is
/// another handle to the same group; when the last one is dropped, its threads go on.
///
/// It has no limit; for that there is [`GreenPool`](super::GreenPool), whose handles can be
/// [added](Group::add).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use green::{pool::Group, thread};
///
/// let background = Group::new();
/// background.spawn(|| loop { thread::sleep(Duration::from_secs(60)); });
/// let answer = background.spawn(|| 42);
/// assert_eq!(answer.join().unwrap(), 42);
/// // The program ends: an orderly end for those that are left.
/// assert!(!background.join_timeout(Duration::from_millis(5)));
/// background.kill()?;
/// assert!(background.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Group {
    members: Arc<Members>,
}

#[derive(Default)]
struct Members {
    running: ShortLock<HashMap<ThreadId, Thread>>,
    /// Whoever waits for members to come or to end.
    changed: WaitQueue,
}

impl Group {
    /// A group without members.
    #[must_use]
    pub fn new() -> Group {
        Group::default()
    }

    /// Starts a green thread as a member.
    ///
    /// ```
    /// use green::pool::Group;
    ///
    /// let group = Group::new();
    /// let sums: Vec<_> = (0..3).map(|n| group.spawn(move || n + n)).collect();
    /// group.join();
    /// let sums: Vec<_> = sums.into_iter().map(|sum| sum.join().unwrap()).collect();
    /// assert_eq!(sums, [0, 2, 4]);
    /// ```
    ///
    /// # Panics
    ///
    /// If it cannot be started, as [`thread::spawn`] does.
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let members = self.members.clone();
        let was_inserted = Arc::new(AtomicBool::new(false));
        let by_itself = was_inserted.clone();
        let handle = thread::spawn(move || {
            // It may come before its spawner does.
            members.insert_once(thread::current(), &by_itself);
            f()
        });
        let thread = handle.thread().clone();
        self.members.insert_once(thread, &was_inserted);
        self.leave_at_the_end(&handle);
        handle
    }

    /// Makes a green thread a member, unless it has ended.
    ///
    /// ```
    /// use green::{pool::{GreenPool, Group}, thread};
    ///
    /// let (pool, group) = (GreenPool::new(2), Group::new());
    /// let task = pool.spawn(thread::park);
    /// group.add(&task);
    /// assert_eq!(group.len(), 1);
    /// group.kill()?;
    /// assert!(task.join().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn add<T>(&self, handle: &JoinHandle<T>) {
        self.members.insert(handle.thread().clone());
        self.leave_at_the_end(handle);
    }

    /// At once if it has ended.
    fn leave_at_the_end<T>(&self, handle: &JoinHandle<T>) {
        let id = handle.thread().id();
        let members = self.members.clone();
        handle.link(move |_| drop(members.remove(id)));
    }

    /// Takes a member out of the group without ending it; returns whether it was one.
    ///
    /// ```
    /// use green::{pool::Group, thread};
    ///
    /// let group = Group::new();
    /// let survivor = group.spawn(thread::park);
    /// assert!(group.discard(survivor.thread()));
    /// group.kill()?;
    /// survivor.thread().unpark();
    /// assert!(survivor.join().is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn discard(&self, thread: &Thread) -> bool {
        self.members.remove(thread.id()).is_some()
    }

    /// Kills all members and parks until they have ended, also those that are added meanwhile. A
    /// member that calls it is killed with them.
    ///
    /// Unwinding may take time, and a member that is [shielded](crate::shield()) ends its block
    /// first; see [`kill_timeout`](Group::kill_timeout).
    ///
    /// ```
    /// use green::{Killed, pool::Group, thread};
    ///
    /// let group = Group::new();
    /// let members = [group.spawn(thread::park), group.spawn(thread::park)];
    /// group.kill()?;
    /// for member in members {
    ///     assert!(member.join().unwrap_err().is::<Killed>());
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Thread::kill`].
    pub fn kill(&self) -> io::Result<()> {
        self.kill_until(Deadline::NEVER).map(drop)
    }

    /// As [`kill`](Group::kill), but waits for their ends no longer than `limit`; false if it passed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::{pool::Group, thread};
    ///
    /// let group = Group::new();
    /// let slow = group.spawn(|| green::shield(thread::park));
    /// while !slow.is_started() {
    ///     thread::yield_now();
    /// }
    /// assert!(!group.kill_timeout(Duration::from_millis(5))?);
    /// slow.thread().unpark();
    /// assert!(group.kill_timeout(Duration::from_secs(60))?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`kill`](Group::kill).
    pub fn kill_timeout(&self, limit: Duration) -> io::Result<bool> {
        self.kill_until(Deadline::after(limit))
    }

    fn kill_until(&self, deadline: Deadline) -> io::Result<bool> {
        let mut killed = HashSet::new();
        loop {
            // Not under the lock: a killer gives way to its victim.
            for thread in self.threads() {
                if killed.insert(thread.id()) {
                    thread.kill()?;
                }
            }
            let all_killed =
                |running: &HashMap<ThreadId, Thread>| running.keys().all(|id| killed.contains(id));
            let dying = |running: &_| all_killed(running) && !HashMap::is_empty(running);
            if !self.members.wait_while(dying, deadline) {
                return Ok(false);
            }
            if self.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Parks until all members have ended, also those that are added meanwhile; at once if there are
    /// none.
    ///
    /// ```
    /// use green::{pool::Group, thread};
    ///
    /// let group = Group::new();
    /// let theirs = group.clone();
    /// group.spawn(move || theirs.spawn(thread::yield_now));
    /// group.join();
    /// assert!(group.is_empty());
    /// ```
    ///
    /// # Panics
    ///
    /// In a member, which would wait for itself.
    pub fn join(&self) {
        self.join_until(Deadline::NEVER);
    }

    /// As [`join`](Group::join), for no longer than `limit`; false if it passed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::{pool::Group, thread};
    ///
    /// let group = Group::new();
    /// let parked = group.spawn(thread::park);
    /// assert!(!group.join_timeout(Duration::from_millis(1)));
    /// parked.thread().unpark();
    /// assert!(group.join_timeout(Duration::from_secs(60)));
    /// ```
    ///
    /// # Panics
    ///
    /// As [`join`](Group::join).
    #[must_use]
    pub fn join_timeout(&self, limit: Duration) -> bool {
        self.join_until(Deadline::after(limit))
    }

    fn join_until(&self, deadline: Deadline) -> bool {
        let own = thread::current().id();
        assert!(
            !self.members.running.lock().contains_key(&own),
            "a member of a group cannot wait for all of it, which includes itself"
        );
        let busy = |running: &HashMap<ThreadId, Thread>| !running.is_empty();
        self.members.wait_while(busy, deadline)
    }

    /// The members that have not ended, in the order in which they were started.
    ///
    /// ```
    /// use green::{pool::Group, thread};
    ///
    /// let group = Group::new();
    /// let waiting = [group.spawn(thread::park), group.spawn(thread::park)];
    /// for thread in group.threads() {
    ///     thread.unpark();
    /// }
    /// group.join();
    /// assert_eq!(group.threads().len(), 0);
    /// # drop(waiting);
    /// ```
    #[must_use]
    pub fn threads(&self) -> std::vec::IntoIter<Thread> {
        let mut threads: Vec<_> = self.members.running.lock().values().cloned().collect();
        threads.sort_unstable_by_key(|thread| thread.id().as_u64());
        threads.into_iter()
    }

    /// How many members have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.running.lock().len()
    }

    /// Whether all members have ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Members {
    fn insert(&self, thread: Thread) {
        self.running.lock().insert(thread.id(), thread);
        // Who kills all of them has one more to kill.
        self.changed.wake_all();
    }

    /// Unless it was: since then it may have been discarded.
    fn insert_once(&self, thread: Thread, was_inserted: &AtomicBool) {
        let mut running = self.running.lock();
        if was_inserted.swap(true, Ordering::Relaxed) {
            return;
        }
        running.insert(thread.id(), thread);
        drop(running);
        self.changed.wake_all();
    }

    fn remove(&self, id: ThreadId) -> Option<Thread> {
        let removed = self.running.lock().remove(&id);
        self.changed.wake_all();
        removed
    }

    /// Parks as long as it is so; false if `deadline` passed first.
    fn wait_while(
        &self,
        so: impl Fn(&HashMap<ThreadId, Thread>) -> bool,
        deadline: Deadline,
    ) -> bool {
        give_way();
        let so = || so(&self.running.lock());
        while so() {
            if self.changed.wait("group", deadline, so) == Wake::TimedOut {
                return !so();
            }
        }
        true
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
