//! Blocking calls on OS threads: [`execute`] one, or have a [`Proxy`] execute every call on a value.
//!
//! Both use the pool of [`green::blocking`](crate::blocking()): its threads start when they are needed,
//! [`Config::blocking_threads`](crate::Config::blocking_threads) at most, and end when they have been
//! idle.
//!
//! # Differences from eventlet
//!
//! A proxy does not have the value's methods, since a Rust type cannot take over all methods of
//! another; each call gives a closure that does the work. Calls of one proxy run one after the other.
//! The pool has a size from the start and at least one thread, and need not be shut down.
//!
//! # Examples
//!
//! ```
//! use std::fs;
//!
//! // The file may be on a disk that takes its time; other green threads go on.
//! let manifest = green::tpool::execute(|| fs::read_to_string("Cargo.toml"))?;
//! assert!(manifest.contains("[package]"));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, time::Duration};

use greenhub::Deadline;
use greenhub::semaphore::Semaphore;

use crate::{Elapsed, blocking, is_green, thread, timeout};

/// Runs a blocking call on an OS thread of the pool, and parks the calling green thread meanwhile:
/// [`green::blocking`](crate::blocking()) by eventlet's name.
///
/// # Panics
///
/// With `f`'s panic, if it panics; if no OS thread can be started.
///
/// ```
/// let answer = green::tpool::execute(|| {
///     std::thread::sleep(std::time::Duration::from_millis(1));
///     42
/// });
/// assert_eq!(answer, 42);
/// ```
pub fn execute<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    blocking(f)
}

/// As [`execute`], but waits no longer than `limit`. The call runs on to its end, and its result is
/// dropped there.
///
/// ```
/// use std::{sync::mpsc, time::Duration};
///
/// use green::tpool;
///
/// let (answer, question) = mpsc::channel::<u32>();
/// let slow = tpool::execute_timeout(Duration::from_millis(1), move || question.recv());
/// assert!(slow.is_err());
/// # drop(answer);
/// assert_eq!(tpool::execute_timeout(Duration::from_secs(60), || 7), Ok(7));
/// ```
///
/// # Errors
///
/// [`Elapsed`] if the limit passed; also in a program that is built with `panic = "abort"`, where
/// nothing is executed then.
///
/// # Panics
///
/// As [`execute`].
pub fn execute_timeout<F, T>(limit: Duration, f: F) -> Result<T, Elapsed>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    timeout(limit, || blocking(f))
}

/// A value whose methods block, such as a database connection: every call on it runs on an OS thread
/// of the pool, while the calling green thread parks.
///
/// A clone is another handle to the same value. Calls run one after the other, in the order in which
/// they were made; not all on the same OS thread, which is why the value must be [`Send`]. A caller
/// that is killed or whose limit passes goes on at once: if its call has begun, it runs on to its end,
/// and the next call waits for that; if not, it never runs. If a call panics, the next one gets the
/// value as it was left.
///
/// When the last handle goes, the value is dropped on the pool too.
///
/// # Examples
///
/// ```
/// use std::{fs::File, io::{Read, Seek}, time::Duration};
///
/// use green::tpool::Proxy;
///
/// # fn main() -> std::io::Result<()> {
/// let file = Proxy::new(std::fs::File::open("/proc/self/cmdline")?);
/// let length = file.call(|file| file.read_to_end(&mut Vec::new()))?;
/// let rewound = file.call_timeout(Duration::from_secs(10), File::rewind).unwrap();
/// assert!(length > 0 && rewound.is_ok());
/// # Ok(())
/// # }
/// ```
pub struct Proxy<T: Send + 'static> {
    shared: Arc<Shared<T>>,
}

struct Shared<T: Send + 'static> {
    right: Semaphore,
    /// Locked only by whoever has the right, so nobody ever waits for the lock; std's, since calls may wait. The value
    /// is there until the end.
    value: Mutex<Option<T>>,
}

/// Whose call it is. It goes with the call, which may outlive its caller.
struct Right<T: Send + 'static>(Arc<Shared<T>>);

impl<T: Send + 'static> Proxy<T> {
    /// A proxy for `value`.
    ///
    /// ```
    /// use green::tpool::Proxy;
    ///
    /// let list = Proxy::new(vec![1, 2]);
    /// let same = list.clone();
    /// list.call(|list| list.push(3));
    /// assert_eq!(same.call(|list| list.len()), 3);
    /// ```
    pub fn new(value: T) -> Proxy<T> {
        Proxy {
            shared: Arc::new(Shared {
                right: Semaphore::named("proxy", 1),
                value: Mutex::new(Some(value)),
            }),
        }
    }

    /// Runs `f` with the value on an OS thread of the pool, once those that came before are done, and
    /// parks until it is done.
    ///
    /// On a plain OS thread without a time limit it runs right here.
    ///
    /// ```
    /// use green::tpool::Proxy;
    ///
    /// let proxy = Proxy::new(0);
    /// let name = green::run(move || {
    ///     proxy.call(|value| *value += 1);
    ///     proxy.call(|_| std::thread::current().name().map(str::to_owned))
    /// });
    /// assert!(name.unwrap().starts_with("green-blocking-"));
    /// ```
    ///
    /// # Panics
    ///
    /// With `f`'s panic, if it panics; if no OS thread can be started.
    pub fn call<F, R>(&self, f: F) -> R
    where
        F: FnOnce(&mut T) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.shared.right.acquire(Deadline::NEVER);
        let right = Right(self.shared.clone());
        blocking(move || {
            let mut value = right.0.value.lock().unwrap_or_else(PoisonError::into_inner);
            f(value.as_mut().expect("it is there until the end"))
        })
    }

    /// As [`call`](Proxy::call), but waits no longer than `limit`, both for its turn and for the
    /// result.
    ///
    /// ```
    /// use std::{sync::mpsc, time::Duration};
    ///
    /// use green::tpool::Proxy;
    ///
    /// let (answer, question) = mpsc::channel();
    /// let proxy = Proxy::new(question);
    /// let slow = proxy.call_timeout(Duration::from_millis(1), |question| question.recv());
    /// assert!(slow.is_err());
    /// // If it had begun, it runs on to its end, and the next call waits for that.
    /// answer.send(1).unwrap();
    /// answer.send(2).unwrap();
    /// assert!(proxy.call(|question| question.recv()).is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// As [`execute_timeout`].
    ///
    /// # Panics
    ///
    /// As [`call`](Proxy::call).
    pub fn call_timeout<F, R>(&self, limit: Duration, f: F) -> Result<R, Elapsed>
    where
        F: FnOnce(&mut T) -> R + Send + 'static,
        R: Send + 'static,
    {
        timeout(limit, || self.call(f))
    }
}

impl<T: Send + 'static> Drop for Right<T> {
    fn drop(&mut self) {
        self.0.right.release();
    }
}

impl<T: Send + 'static> Drop for Shared<T> {
    fn drop(&mut self) {
        if let Some(value) = self
            .value
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            && is_green()
        {
            // Not waited for: what drops a proxy need not be able to wait. If it cannot be started,
            // the value is dropped here after all.
            let _ = thread::Builder::new().spawn(move || blocking(move || drop(value)));
        }
    }
}

impl<T: Send + 'static> Clone for Proxy<T> {
    fn clone(&self) -> Proxy<T> {
        Proxy {
            shared: self.shared.clone(),
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Proxy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("waiting", &self.shared.right.waiting())
            .finish_non_exhaustive()
    }
}
