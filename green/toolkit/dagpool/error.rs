//! Why a task was refused, and why one has no value.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use greenhub::panic_message;

/// A key or a task that a [`DagPool`](super::DagPool) does not take.
///
/// ```
/// use green::dagpool::{DagPool, Refused};
///
/// let pool = DagPool::<_, ()>::new();
/// pool.spawn("egg", ["hen"], |_| Ok(()))?;
/// let refused = pool.spawn("hen", ["egg"], |_| Ok(())).unwrap_err();
/// assert!(matches!(refused, Refused::Cycle(_)));
/// let refused = pool.spawn("egg", [], |_| Ok(())).unwrap_err();
/// assert_eq!(refused, Refused::Collision("egg"));
/// # Ok::<(), Refused<&str>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused<K> {
    /// The key has a task or a value already.
    Collision(K),
    /// The task would wait for itself. These are the keys on the way from it back to it, both ends
    /// included.
    Cycle(Vec<K>),
}

impl<K: fmt::Debug> fmt::Display for Refused<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Collision(key) => write!(f, "{key:?} has a task or a value already"),
            Refused::Cycle(way) => write!(f, "a task would wait for itself: {way:?}"),
        }
    }
}

impl<K: fmt::Debug> Error for Refused<K> {}

/// Why a task of a [`DagPool`](super::DagPool) gave no value.
///
/// ```
/// use green::dagpool::{Cause, DagPool};
///
/// let pool = DagPool::<_, ()>::new();
/// pool.spawn("broken", [], |_| Err(std::io::ErrorKind::NotFound.into()))?;
/// let error = pool.wait(["broken"]).unwrap_err();
/// match error.cause() {
///     Cause::Error(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
///     Cause::Panicked(message) => eprintln!("a fault in the program: {message}"),
///     Cause::Killed => eprintln!("somebody has stopped it"),
/// }
/// # Ok::<(), green::dagpool::Refused<&str>>(())
/// ```
pub enum Cause<E> {
    /// It returned this error.
    Error(Arc<E>),
    /// It panicked with this message.
    Panicked(Arc<str>),
    /// It was killed, or could not be started.
    Killed,
}

impl<E> Cause<E> {
    pub(super) fn panicked(payload: &(dyn Any + Send)) -> Cause<E> {
        Cause::Panicked(panic_message(payload).unwrap_or_default().into())
    }

    /// The error that the task returned, if it did.
    pub fn error(&self) -> Option<&E> {
        match self {
            Cause::Error(error) => Some(error),
            _ => None,
        }
    }
}

impl<E> Clone for Cause<E> {
    fn clone(&self) -> Cause<E> {
        match self {
            Cause::Error(error) => Cause::Error(error.clone()),
            Cause::Panicked(message) => Cause::Panicked(message.clone()),
            Cause::Killed => Cause::Killed,
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for Cause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Error(error) => f.debug_tuple("Error").field(error).finish(),
            Cause::Panicked(message) => f.debug_tuple("Panicked").field(message).finish(),
            Cause::Killed => f.write_str("Killed"),
        }
    }
}

/// A key has no value: its task has failed, or something that it depends on.
///
/// ```
/// use green::dagpool::DagPool;
///
/// let pool = DagPool::<_, ()>::new();
/// pool.spawn("first", [], |_| Err(std::io::Error::other("no luck")))?;
/// pool.spawn("last", ["first"], |_| Ok(()))?;
/// let error = pool.wait(["last"]).unwrap_err();
/// assert_eq!(error.to_string(), r#"no value for "last": "first" failed: no luck"#);
/// # Ok::<(), green::dagpool::Refused<&str>>(())
/// ```
#[derive(Debug)]
pub struct PropagateError<K, E> {
    key: K,
    origin: K,
    cause: Cause<E>,
}

impl<K: Clone, E> Clone for PropagateError<K, E> {
    fn clone(&self) -> PropagateError<K, E> {
        PropagateError {
            key: self.key.clone(),
            origin: self.origin.clone(),
            cause: self.cause.clone(),
        }
    }
}

impl<K: Clone, E> PropagateError<K, E> {
    pub(super) fn new(key: K, cause: Cause<E>) -> PropagateError<K, E> {
        PropagateError {
            origin: key.clone(),
            key,
            cause,
        }
    }

    /// The same of a key that depends on this one.
    pub(super) fn of(&self, key: K) -> PropagateError<K, E> {
        PropagateError {
            key,
            origin: self.origin.clone(),
            cause: self.cause.clone(),
        }
    }
}

impl<K, E> PropagateError<K, E> {
    /// The key that has no value.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The key whose task has failed: the same, or one that it depends on.
    pub fn origin(&self) -> &K {
        &self.origin
    }

    /// Why that one failed.
    pub fn cause(&self) -> &Cause<E> {
        &self.cause
    }
}

impl<K: fmt::Debug, E: fmt::Display> fmt::Display for PropagateError<K, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no value for {:?}: {:?} ", self.key, self.origin)?;
        match &self.cause {
            Cause::Error(error) => write!(f, "failed: {error}"),
            Cause::Panicked(message) => write!(f, "panicked: {message}"),
            Cause::Killed => f.write_str("was killed"),
        }
    }
}

impl<K: fmt::Debug, E: Error + 'static> Error for PropagateError<K, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.error().map(|error| error as _)
    }
}
