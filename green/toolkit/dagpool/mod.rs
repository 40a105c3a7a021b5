//! [`DagPool`]: tasks with names, each of which starts when the values that it depends on are there.
//!
//! # Differences from eventlet
//!
//! A task starts when all values that it depends on are there, and gets them as a map; until then it is no green thread
//! and has no stack. A task that can begin with fewer values is spawned without dependencies, and asks for them by
//! [`wait_each`](DagPool::wait_each). Tasks that would wait for each other in a circle are refused; eventlet lets them
//! wait for ever. A task fails by returning an error as well as by a panic or a kill. A value that was posted stays:
//! there is no `replace`.
//!
//! # Examples
//!
//! ```
//! use green::dagpool::DagPool;
//!
//! let pool = DagPool::<_, u32>::new();
//! // In any order: each begins when what it needs is there.
//! pool.spawn("sum", ["left", "right"], |values| Ok(*values["left"] + *values["right"]))?;
//! pool.spawn("left", [], |_| Ok(40))?;
//! pool.spawn("right", [], |_| Ok(2))?;
//! assert_eq!(*pool.wait(["sum"]).unwrap()["sum"], 42);
//! # Ok::<(), green::dagpool::Refused<&str>>(())
//! ```

mod error;
mod graph;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::io;
use std::sync::Arc;

use greenhub::Deadline;
use greenhub::wait_queue::{ShortLock, WaitQueue};

use crate::thread::{Builder, Thread};
use graph::{Ended, Graph, New, Ready, Results, Work};

pub use error::{Cause, PropagateError, Refused};

/// Tasks with names, each of which starts when the values that it depends on are there.
///
/// A value has a key, and comes from a task or from [`post`](DagPool::post). A task names the keys that it depends on,
/// even keys that nobody has named yet, and runs as a green thread of its own once they all have their values. If one
/// of them fails, the task never runs and counts as failed for the same reason, and so do those that depend on it. So
/// whoever waits for a value that cannot come is told why.
///
/// Values are shared: who asks gets an `Arc`. Keys are cloned, hashed and compared under the pool's
/// lock, so their code for that must not wait. A clone is another handle to the same pool.
///
/// # Examples
///
/// ```
/// use std::convert::Infallible;
///
/// use green::dagpool::DagPool;
///
/// let pool = DagPool::<_, String, Infallible>::new();
/// // Before there is what it depends on.
/// pool.spawn("greeting", ["word", "name"], |values| {
///     Ok(format!("{}, {}", values["word"], values["name"]))
/// })?;
/// pool.spawn("word", [], |_| Ok("hello".to_owned()))?;
/// pool.post("name", "world".to_owned())?;
/// assert_eq!(*pool.wait(["greeting"])?["greeting"], "hello, world");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A failure is passed on to all that depends on it:
///
/// ```
/// use std::io;
///
/// use green::dagpool::DagPool;
///
/// let pool = DagPool::<_, u64>::new();
/// pool.spawn("size", ["file"], |values| Ok(*values["file"] * 2))?;
/// pool.spawn("file", [], |_| std::fs::metadata("/nowhere").map(|file| file.len()))?;
/// let error = pool.wait(["size"]).unwrap_err();
/// assert_eq!((error.key(), error.origin()), (&"size", &"file"));
/// assert_eq!(error.cause().error().unwrap().kind(), io::ErrorKind::NotFound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DagPool<K, V, E = io::Error> {
    shared: Arc<Shared<K, V, E>>,
}

struct Shared<K, V, E> {
    graph: ShortLock<Graph<K, V, E>>,
    /// Whoever waits for a task to end.
    ended: WaitQueue,
}

impl<K, V, E> DagPool<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// A pool without values or tasks.
    #[must_use]
    pub fn new() -> DagPool<K, V, E> {
        DagPool {
            shared: Arc::new(Shared {
                graph: ShortLock::new(Graph::new()),
                ended: WaitQueue::new(),
            }),
        }
    }

    /// Gives a key its value from outside, and starts the tasks that wait for nothing else.
    ///
    /// ```
    /// use green::dagpool::{DagPool, Refused};
    ///
    /// let pool = DagPool::<_, u32>::new();
    /// pool.post("a", 1).unwrap();
    /// assert_eq!(pool.post("a", 2), Err(Refused::Collision("a")));
    /// assert_eq!(*pool.get(&"a").unwrap().unwrap(), 1);
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused::Collision`] if the key has a task or a value.
    pub fn post(&self, key: K, value: V) -> Result<(), Refused<K>> {
        let value = Arc::new(value);
        let after = {
            let mut graph = self.shared.graph.lock();
            if graph.knows(&key) {
                return Err(Refused::Collision(key));
            }
            graph.end(key, Ok(value))
        };
        self.shared.go_on(after);
        Ok(())
    }

    /// Runs `f`, as a green thread, once all that it depends on has its value; what it returns is the value of `key`.
    /// This call does not wait.
    ///
    /// ```
    /// use green::dagpool::DagPool;
    ///
    /// let pool = DagPool::<_, u32>::new();
    /// for n in 2..=10 {
    ///     pool.spawn(n, [n - 1, n - 2], move |values| Ok(*values[&(n - 1)] + *values[&(n - 2)]))?;
    /// }
    /// pool.post(0, 0)?;
    /// pool.post(1, 1)?;
    /// assert_eq!(*pool.wait([10]).unwrap()[&10], 55);
    /// # Ok::<(), green::dagpool::Refused<u32>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused::Collision`] if the key has a task or a value; [`Refused::Cycle`] if the task would wait for itself
    /// through what it depends on.
    pub fn spawn<D, F>(&self, key: K, depends: D, f: F) -> Result<(), Refused<K>>
    where
        D: IntoIterator<Item = K>,
        F: FnOnce(HashMap<K, Arc<V>>) -> Result<V, E> + Send + 'static,
    {
        let task = (
            key,
            depends.into_iter().collect(),
            Box::new(f) as Work<K, V, E>,
        );
        self.add(vec![task])
    }

    /// Spawns `f` for each key with all that it depends on; if one is refused, none is spawned.
    ///
    /// ```
    /// use green::dagpool::{DagPool, Refused};
    ///
    /// let pool = DagPool::<_, u32>::new();
    /// let sum = |_: &_, values: std::collections::HashMap<_, _>| {
    ///     Ok(values.values().map(|value: &std::sync::Arc<u32>| **value).sum::<u32>() + 1)
    /// };
    /// pool.spawn_many([("top", vec!["left", "right"]), ("left", vec![]), ("right", vec![])], sum)?;
    /// assert_eq!(*pool.wait(["top"]).unwrap()["top"], 3);
    ///
    /// let circle = [("egg", vec!["hen"]), ("hen", vec!["egg"])];
    /// let refused = pool.spawn_many(circle, sum).unwrap_err();
    /// assert_eq!(refused, Refused::Cycle(vec!["hen", "egg", "hen"]));
    /// assert!(pool.get(&"egg").is_none());
    /// # Ok::<(), Refused<&str>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`spawn`](DagPool::spawn), of the first that is refused.
    pub fn spawn_many<I, D, F>(&self, tasks: I, f: F) -> Result<(), Refused<K>>
    where
        I: IntoIterator<Item = (K, D)>,
        D: IntoIterator<Item = K>,
        F: Fn(&K, HashMap<K, Arc<V>>) -> Result<V, E> + Send + Sync + 'static,
    {
        let f = Arc::new(f);
        let with_its_key = |(key, depends): (K, D)| {
            let (f, own) = (f.clone(), key.clone());
            let task: Work<K, V, E> = Box::new(move |values| f(&own, values));
            (key, depends.into_iter().collect(), task)
        };
        self.add(tasks.into_iter().map(with_its_key).collect())
    }

    fn add(&self, tasks: Vec<New<K, V, E>>) -> Result<(), Refused<K>> {
        let mut after = Ended::default();
        let mut added = Vec::new();
        // What is not run is dropped without the lock.
        let mut unused = Vec::new();
        let mut refused = None;
        {
            let mut graph = self.shared.graph.lock();
            for (key, depends, task) in tasks {
                match refused {
                    None => match graph.add(key.clone(), depends, task) {
                        Ok(()) => added.push(key),
                        Err((why, task)) => {
                            refused = Some(why);
                            unused.push(task);
                        }
                    },
                    Some(_) => unused.push(task),
                }
            }
            for key in added {
                match refused {
                    None => graph.look_at(key, &mut after),
                    Some(_) => unused.extend(graph.forget(&key)),
                }
            }
        }
        drop(unused);
        self.shared.go_on(after);
        refused.map_or(Ok(()), Err)
    }

    /// Parks until all of the keys have their values, and gives them.
    ///
    /// A key that nobody has named yet is waited for. A task that waits for itself in this way waits for ever, unless a
    /// [`timeout`](crate::timeout()) ends it.
    ///
    /// # Errors
    /// Why one of them has failed; returned as soon as it has.
    pub fn wait<I>(&self, keys: I) -> Result<HashMap<K, Arc<V>>, PropagateError<K, E>>
    where
        I: IntoIterator<Item = K>,
    {
        self.wait_each(keys)
            .map(|(key, outcome)| outcome.map(|value| (key, value)))
            .collect()
    }

    /// Parks until all that was spawned and posted up to now has its value, and gives all values.
    ///
    /// ```
    /// use green::dagpool::DagPool;
    ///
    /// let pool = DagPool::<_, u32>::new();
    /// (0..10).try_for_each(|n| pool.spawn(n, [], move |_| Ok(n)))?;
    /// assert_eq!(pool.wait_all().unwrap().len(), 10);
    /// # Ok::<(), green::dagpool::Refused<u32>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](DagPool::wait).
    #[doc(alias = "waitall")]
    pub fn wait_all(&self) -> Result<HashMap<K, Arc<V>>, PropagateError<K, E>> {
        self.wait(self.keys())
    }

    /// Returns each of the keys with its value, or with the reason why it failed, in the order in which these become
    /// known; parks until the next one is there.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use green::{dagpool::DagPool, thread::sleep};
    ///
    /// let pool = DagPool::<_, ()>::new();
    /// pool.spawn("slow", [], |_| {
    ///     sleep(Duration::from_millis(20));
    ///     Ok(())
    /// })?;
    /// pool.spawn("broken", [], |_| Err(std::io::ErrorKind::Other.into()))?;
    /// let each = pool.wait_each(["slow", "broken"]);
    /// let ended: Vec<_> = each.map(|(key, outcome)| (key, outcome.is_ok())).collect();
    /// assert_eq!(ended, [("broken", false), ("slow", true)]);
    /// # Ok::<(), green::dagpool::Refused<&str>>(())
    /// ```
    pub fn wait_each<I>(&self, keys: I) -> WaitEach<K, V, E>
    where
        I: IntoIterator<Item = K>,
    {
        WaitEach {
            pool: self.clone(),
            left: keys.into_iter().collect(),
            seen: 0,
        }
    }

    /// The value of a key, or why it failed; `None` if neither has come.
    pub fn get(&self, key: &K) -> Option<Outcome<K, V, E>> {
        self.shared.graph.lock().outcome(key)
    }

    /// Ends a task: one that waits never runs, one that runs is killed as by
    /// [`JoinHandle::kill`](crate::thread::JoinHandle::kill). What depends on it fails. False if there is no such task, or it
    /// has ended.
    ///
    /// ```
    /// use green::{dagpool::{Cause, DagPool}, thread};
    ///
    /// let pool = DagPool::<_, ()>::new();
    /// pool.spawn("for ever", [], |_| loop { thread::park() })?;
    /// pool.spawn("after", ["for ever"], |_| Ok(()))?;
    /// assert!(pool.kill(&"for ever")?);
    /// assert!(matches!(pool.wait(["after"]).unwrap_err().cause(), Cause::Killed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Unsupported` for a task that runs, in a program built with `panic = "abort"`.
    pub fn kill(&self, key: &K) -> io::Result<bool> {
        let mut after = Ended::default();
        let victim = self.shared.graph.lock().kill(key, &mut after);
        let killed = victim.is_some();
        self.shared.go_on(after);
        match victim.flatten() {
            Some(thread) => thread.kill().map(|()| true),
            None => Ok(killed),
        }
    }

    /// All keys that have a task or a value, in no order.
    #[must_use]
    pub fn keys(&self) -> Vec<K> {
        self.shared.graph.lock().keys(|_| true)
    }

    /// The keys of the tasks that run.
    #[must_use]
    pub fn running(&self) -> Vec<K> {
        self.shared.graph.lock().keys(|node| node.is_running())
    }

    /// The keys of the tasks that wait for others.
    #[must_use]
    pub fn waiting(&self) -> Vec<K> {
        self.shared.graph.lock().keys(|node| node.is_waiting())
    }

    /// What a task still waits for; empty if it does not wait, or there is none.
    ///
    /// ```
    /// use green::dagpool::DagPool;
    ///
    /// let pool = DagPool::<_, ()>::new();
    /// pool.spawn("c", ["a", "b"], |_| Ok(()))?;
    /// pool.post("a", ())?;
    /// assert_eq!((pool.waiting(), pool.waiting_for(&"c")), (vec!["c"], vec!["b"]));
    /// # Ok::<(), green::dagpool::Refused<&str>>(())
    /// ```
    #[must_use]
    pub fn waiting_for(&self, key: &K) -> Vec<K> {
        self.shared.graph.lock().waiting_for(key)
    }
}

/// A value, or why there is none.
///
/// ```
/// use green::dagpool::{DagPool, Outcome};
///
/// fn told(outcome: Outcome<&str, u32, std::io::Error>) -> String {
///     match outcome {
///         Ok(value) => format!("it is {value}"),
///         Err(error) => error.to_string(),
///     }
/// }
///
/// let pool = DagPool::new();
/// pool.spawn("answer", [], |_| Ok(42))?;
/// let outcomes: Vec<_> = pool.wait_each(["answer"]).map(|(_, outcome)| told(outcome)).collect();
/// assert_eq!(outcomes, ["it is 42"]);
/// # Ok::<(), green::dagpool::Refused<&str>>(())
/// ```
pub type Outcome<K, V, E> = Result<Arc<V>, PropagateError<K, E>>;

impl<K, V, E> Shared<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// Starts the tasks that are ready, and wakes those who wait.
    fn go_on(self: &Arc<Self>, after: Ended<K, V, E>) {
        let has_ended = after.has_ended;
        for Ready { key, values, task } in after.ready {
            self.start(key, values, task);
        }
        if has_ended {
            self.ended.wake_all();
        }
        drop(after.dropped);
    }

    fn start(self: &Arc<Self>, key: K, values: Results<K, V>, task: Work<K, V, E>) {
        let own = Own {
            shared: self.clone(),
            key: Some(key.clone()),
        };
        // If it cannot be started, what it captures is dropped, and it counts as killed.
        let started = Builder::new().name("dag task".to_owned()).spawn(move || {
            let outcome = match greenhub::catch_panic(|| task(values)) {
                Ok(Ok(value)) => Ok(Arc::new(value)),
                Ok(Err(error)) => Err(Cause::Error(Arc::new(error))),
                Err(payload) => {
                    let cause = Cause::panicked(&*payload);
                    greenhub::discard_panic(payload);
                    Err(cause)
                }
            };
            own.end(outcome);
        });
        match started {
            Ok(handle) => self.runs(&key, handle.thread()),
            Err(error) => log::warn!("a task of a DagPool cannot be started: {error}"),
        }
    }

    /// Remembers whom to kill, or kills who should have been.
    fn runs(&self, key: &K, thread: &Thread) {
        let unwanted = self.graph.lock().runs(key, thread);
        if unwanted && let Err(error) = thread.kill() {
            log::warn!("a task of a DagPool cannot be killed: {error}");
        }
    }

    fn end(self: &Arc<Self>, key: K, outcome: Result<Arc<V>, Cause<E>>) {
        let outcome = outcome.map_err(|cause| PropagateError::new(key.clone(), cause));
        let after = self.graph.lock().end(key, outcome);
        self.go_on(after);
    }
}

/// A task that runs: killed if this is dropped.
struct Own<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    shared: Arc<Shared<K, V, E>>,
    key: Option<K>,
}

impl<K, V, E> Own<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    fn end(mut self, outcome: Result<Arc<V>, Cause<E>>) {
        if let Some(key) = self.key.take() {
            self.shared.end(key, outcome);
        }
    }
}

impl<K, V, E> Drop for Own<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.shared.end(key, Err(Cause::Killed));
        }
    }
}

/// What [`DagPool::wait_each`] gives: an iterator that parks until the next of its keys is known.
///
/// ```
/// use green::dagpool::{DagPool, WaitEach};
///
/// let pool = DagPool::new();
/// pool.spawn("first", [], |_| Ok(1))?;
/// pool.spawn("second", ["first"], |first| Ok(*first["first"] + 1))?;
/// let mut each: WaitEach<&str, i32, std::io::Error> = pool.wait_each(["first", "second"]);
/// let (key, value) = each.next().unwrap();
/// assert_eq!((key, *value.unwrap()), ("first", 1));
/// let (key, value) = each.next().unwrap();
/// assert_eq!((key, *value.unwrap()), ("second", 2));
/// assert!(each.next().is_none());
/// # Ok::<(), green::dagpool::Refused<&str>>(())
/// ```
pub struct WaitEach<K, V, E> {
    pool: DagPool<K, V, E>,
    left: HashSet<K>,
    /// How many of those that ended were looked at.
    seen: usize,
}

impl<K, V, E> Iterator for WaitEach<K, V, E>
where
    K: Clone + Eq + Hash,
{
    type Item = (K, Outcome<K, V, E>);

    fn next(&mut self) -> Option<Self::Item> {
        let shared = &self.pool.shared;
        while !self.left.is_empty() {
            {
                let graph = shared.graph.lock();
                while let Some(key) = graph.ended().get(self.seen) {
                    self.seen += 1;
                    if self.left.remove(key) {
                        return Some((key.clone(), graph.outcome(key)?));
                    }
                }
            }
            let seen = self.seen;
            let no_more = || shared.graph.lock().ended().len() == seen;
            shared.ended.wait("dag pool", Deadline::NEVER, no_more);
        }
        None
    }
}

impl<K, V, E> Clone for DagPool<K, V, E> {
    fn clone(&self) -> DagPool<K, V, E> {
        DagPool {
            shared: self.shared.clone(),
        }
    }
}

impl<K, V, E> Default for DagPool<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    fn default() -> DagPool<K, V, E> {
        DagPool::new()
    }
}

impl<K, V, E> fmt::Debug for DagPool<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DagPool").finish_non_exhaustive()
    }
}

impl<K, V, E> fmt::Debug for WaitEach<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitEach")
            .field("left", &self.left.len())
            .finish_non_exhaustive()
    }
}
