//! Green threads that borrow from their parent's stack.
#![expect(unsafe_code, reason = "the scope waits for what it lends")]

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::ending::Result;
use super::join_handle::JoinInner;
use super::scope_data::ScopeData;
use super::spawn::{Builder, expect_spawned};
use super::thread::Thread;
use crate::contain::or_abort;
use crate::hub::current;
use crate::hub::interrupt::{Mask, resume_unwind};
use crate::hub::wait::refuse_under_lock;

/// Calls `f` with a scope in which green threads may borrow from outside, and joins them all before
/// it returns, even if it unwinds.
///
/// A kill or a time limit that arrives while it joins is raised at the first wait after that.
///
/// # Panics
///
/// If a green thread that was not joined by hand panicked or was killed. At its beginning, where the
/// caller must not wait: in a callback of a TLS context, or in a function that tells whether a wait is
/// still needed.
///
/// ```
/// use green::thread;
///
/// let mut numbers = vec![1, 2, 3];
/// thread::scope(|s| {
///     s.spawn(|| assert_eq!(numbers.len(), 3));
/// });
/// numbers.push(4);
/// ```
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    // The wait at the end could not be refused any more.
    current::with(|task| refuse_under_lock(task));
    let scope = Scope {
        data: Arc::new(ScopeData::default()),
        scope: PhantomData,
        env: PhantomData,
    };
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    {
        // What was lent must come back whatever happens.
        let _mask = Mask::new();
        or_abort(
            "a scope cannot wait for the threads that borrow from it",
            || {
                scope.data.wait_for_all();
            },
        );
    }
    match result {
        Err(payload) => resume_unwind(payload),
        Ok(_) if scope.data.has_panicked() => {
            panic!("a scoped thread panicked")
        }
        Ok(value) => value,
    }
}

/// A scope to spawn in: see [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    data: Arc<ScopeData>,
    /// Invariant, so that neither lifetime can be shortened or stretched.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Starts a green thread that may borrow what outlives the scope.
    ///
    /// # Panics
    ///
    /// If it cannot be started: see [`Builder::spawn_scoped`].
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        expect_spawned(Builder::new().spawn_scoped(self, f))
    }
}

impl Builder {
    /// Starts a green thread in `scope` with these settings.
    ///
    /// # Errors
    ///
    /// As [`Builder::spawn`].
    ///
    /// # Panics
    ///
    /// As [`Builder::spawn`].
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        // SAFETY: `scope` does not return before the packet, and with it the
        // body and the result, is gone; that is longer than the green thread
        // runs.
        unsafe { self.spawn_inner(f, Some(scope.data.clone())) }
            .map(|inner| ScopedJoinHandle(inner, PhantomData))
    }
}

/// A handle to a scoped green thread; if it is dropped, the scope joins the thread.
pub struct ScopedJoinHandle<'scope, T>(JoinInner<T>, PhantomData<&'scope ()>);

// SAFETY: as for `JoinHandle`.
unsafe impl<T: Send> Send for ScopedJoinHandle<'_, T> {}
// SAFETY: as for `JoinHandle`.
unsafe impl<T: Send> Sync for ScopedJoinHandle<'_, T> {}

impl<T> ScopedJoinHandle<'_, T> {
    /// The green thread's id, name and park token.
    pub fn thread(&self) -> &Thread {
        &self.0.thread
    }

    /// Parks the running thread, green or OS, until the green thread has ended,
    /// and gives its value.
    ///
    /// # Errors
    ///
    /// The payload of its panic; [`Killed`](crate::Killed) if it was killed.
    pub fn join(self) -> Result<T> {
        self.0.join()
    }

    /// Whether the green thread has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Ends the green thread: see [`JoinHandle::kill`](super::JoinHandle::kill).
    ///
    /// # Errors
    ///
    /// `Unsupported` in a program built with `panic = "abort"`.
    pub fn kill(&self) -> io::Result<()> {
        self.0.kill()
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle").finish_non_exhaustive()
    }
}
