//! [`green::thread`](crate::thread), whose waits are shielded.
//!
//! # Examples
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use green::shielded::thread::sleep;
//!
//! let begun = Instant::now();
//! let limited = green::timeout(Duration::from_millis(1), || {
//!     sleep(Duration::from_millis(10));
//!     // The limit acts here.
//!     green::thread::yield_now();
//! });
//! assert!(limited.is_err() && begun.elapsed() >= Duration::from_millis(10));
//! ```
#![expect(unsafe_code, reason = "a scope is seen as the type of this module")]

use std::io;
use std::time::{Duration, Instant};

use super::shielded;
use crate::shield;
use crate::thread;

pub use crate::thread::{
    AccessError, LocalKey, Result, Thread, ThreadId, available_parallelism, current, panicking,
};

/// As [`thread::sleep`].
pub fn sleep(duration: Duration) {
    shield(|| thread::sleep(duration));
}

/// As [`thread::sleep_until`].
pub fn sleep_until(deadline: Instant) {
    shield(|| thread::sleep_until(deadline));
}

/// As [`thread::yield_now`].
pub fn yield_now() {
    shield(thread::yield_now);
}

/// As [`thread::park`].
pub fn park() {
    shield(thread::park);
}

/// As [`thread::park_timeout`].
pub fn park_timeout(duration: Duration) {
    shield(|| thread::park_timeout(duration));
}

/// As [`thread::spawn`]. Only the join is shielded; in the new thread only those waits are shielded that
/// its code shields.
///
/// # Panics
///
/// As [`thread::spawn`].
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    JoinHandle(thread::spawn(f))
}

shielded! {
    /// As [`thread::JoinHandle`].
    JoinHandle [T] [T] over thread::JoinHandle<T>
}

impl<T> JoinHandle<T> {
    /// As [`thread::JoinHandle::join`].
    ///
    /// # Errors
    ///
    /// The payload of its panic.
    pub fn join(self) -> Result<T> {
        shield(|| self.0.join())
    }
}

shielded! {
    /// As [`thread::Builder`].
    Builder [] [] over thread::Builder
}

impl Builder {
    /// As [`thread::Builder::new`].
    #[expect(clippy::new_without_default, reason = "std has none either")]
    pub fn new() -> Builder {
        Builder(thread::Builder::new())
    }

    /// As [`thread::Builder::name`].
    #[must_use]
    pub fn name(self, name: String) -> Builder {
        Builder(self.0.name(name))
    }

    /// As [`thread::Builder::stack_size`].
    #[must_use]
    pub fn stack_size(self, bytes: usize) -> Builder {
        Builder(self.0.stack_size(bytes))
    }

    /// As [`thread::Builder::spawn`].
    ///
    /// # Errors
    ///
    /// As [`thread::Builder::spawn`].
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.0.spawn(f).map(JoinHandle)
    }

    /// As [`thread::Builder::spawn_scoped`].
    ///
    /// # Errors
    ///
    /// As [`thread::Builder::spawn`].
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.0.spawn_scoped(&scope.0, f).map(ScopedJoinHandle)
    }
}

/// As [`thread::scope`].
///
/// # Panics
///
/// As [`thread::scope`].
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    thread::scope(|scope| f(Scope::seen(scope)))
}

/// As [`thread::Scope`].
#[derive(Debug)]
#[repr(transparent)]
pub struct Scope<'scope, 'env: 'scope>(thread::Scope<'scope, 'env>);

impl<'scope, 'env> Scope<'scope, 'env> {
    fn seen<'a>(scope: &'a thread::Scope<'scope, 'env>) -> &'a Scope<'scope, 'env> {
        // SAFETY: `Scope` is transparent: the same value, for the same time.
        unsafe { &*std::ptr::from_ref(scope).cast::<Scope<'scope, 'env>>() }
    }

    /// As [`thread::Scope::spawn`].
    ///
    /// # Panics
    ///
    /// As [`thread::Scope::spawn`].
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        ScopedJoinHandle(self.0.spawn(f))
    }
}

shielded! {
    /// As [`thread::ScopedJoinHandle`].
    ScopedJoinHandle ['scope, T] ['scope, T] over thread::ScopedJoinHandle<'scope, T>
}

impl<T> ScopedJoinHandle<'_, T> {
    /// As [`thread::ScopedJoinHandle::join`].
    ///
    /// # Errors
    ///
    /// The payload of its panic.
    pub fn join(self) -> Result<T> {
        shield(|| self.0.join())
    }
}
