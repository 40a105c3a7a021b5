//! [`Once`] and its [`OnceState`].

use std::{
    cell::Cell,
    fmt,
    marker::PhantomData,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::atomic::{
        AtomicU8,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

use greenhub::Deadline;
use greenhub::wait_queue::WaitQueue;

const INCOMPLETE: u8 = 0;
/// The last initialiser panicked.
const POISONED: u8 = 1;
/// An initialiser runs; whoever comes now queues.
const RUNNING: u8 = 2;
const COMPLETE: u8 = 3;

/// A one-time initialisation, as [`std::sync::Once`], that parks green threads.
///
/// The initialiser may park: other green threads that call meanwhile park, too, where std would
/// stop the hub, and the initialiser with it.
///
/// # Differences from std
///
/// A green thread that is killed inside the initialiser poisons the `Once` as a panic does.
///
/// # Examples
///
/// ```
/// use green::sync::Once;
///
/// static START: Once = Once::new();
///
/// START.call_once(|| println!("only once"));
/// START.call_once(|| unreachable!());
/// assert!(START.is_completed());
/// ```
pub struct Once {
    state: AtomicU8,
    queue: WaitQueue,
}

impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

/// How far a [`Once`] has come.
#[cfg(feature = "parking_lot")]
pub(in crate::faces) enum Stage {
    Incomplete,
    Poisoned,
    Running,
    Complete,
}

/// What a static [`Once`] was once made of.
#[deprecated(note = "the `Once::new()` function is now preferred")]
#[expect(
    clippy::declare_interior_mutable_const,
    reason = "std's own name, for statics; each use makes a new one, as meant"
)]
pub const ONCE_INIT: Once = Once::new();

/// What [`Once::call_once_force`] tells its closure.
pub struct OnceState {
    poisoned: bool,
    /// Not `Sync`, nor safe to share across an unwind, as std's is not.
    not_sync: PhantomData<Cell<()>>,
}

impl Once {
    /// Creates a `Once` that has not run.
    #[expect(clippy::new_without_default, reason = "std's has no `Default` either")]
    #[inline]
    #[must_use]
    pub const fn new() -> Once {
        Once {
            state: AtomicU8::new(INCOMPLETE),
            queue: WaitQueue::new(),
        }
    }

    /// Runs `f` unless an initialiser has run already; waits for one that is running.
    ///
    /// When this returns, an initialiser has run to its end, and what it did is visible here. `f`
    /// must not call the same `Once` again: such a call never returns.
    ///
    /// # Panics
    ///
    /// If an earlier initialiser panicked.
    #[inline]
    #[track_caller]
    pub fn call_once<F>(&self, f: F)
    where
        F: FnOnce(),
    {
        if !self.is_completed() {
            let mut f = Some(f);
            self.call(false, &mut |_| {
                if let Some(f) = f.take() {
                    f();
                }
            });
        }
    }

    /// As [`call_once`](Once::call_once), but runs `f` also after an initialiser that panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::Once;
    ///
    /// static START: Once = Once::new();
    ///
    /// let failed = green::thread::spawn(|| START.call_once(|| panic!("not this time"))).join();
    /// assert!(failed.is_err());
    /// START.call_once_force(|state| assert!(state.is_poisoned()));
    /// assert!(START.is_completed());
    /// ```
    #[inline]
    pub fn call_once_force<F>(&self, f: F)
    where
        F: FnOnce(&OnceState),
    {
        if !self.is_completed() {
            let mut f = Some(f);
            self.call(true, &mut |state| {
                if let Some(f) = f.take() {
                    f(state);
                }
            });
        }
    }

    /// Whether an initialiser has run to its end.
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.state.load(Acquire) == COMPLETE
    }

    #[cfg(feature = "parking_lot")]
    pub(in crate::faces) fn stage(&self) -> Stage {
        match self.state.load(Acquire) {
            INCOMPLETE => Stage::Incomplete,
            POISONED => Stage::Poisoned,
            RUNNING => Stage::Running,
            _ => Stage::Complete,
        }
    }

    /// Waits until an initialiser has run to its end.
    ///
    /// # Panics
    ///
    /// If an initialiser panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::Once;
    ///
    /// static START: Once = Once::new();
    ///
    /// let starter = green::thread::spawn(|| START.call_once(|| green::println!("started")));
    /// START.wait();
    /// assert!(START.is_completed());
    /// # starter.join().unwrap();
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        if !self.is_completed() {
            self.wait_while_pending(false);
        }
    }

    /// As [`wait`](Once::wait), but goes on waiting if an initialiser panicked.
    pub fn wait_force(&self) {
        if !self.is_completed() {
            self.wait_while_pending(true);
        }
    }

    #[cold]
    #[track_caller]
    fn call(&self, ignore_poison: bool, f: &mut dyn FnMut(&OnceState)) {
        loop {
            let state = self.state.load(Acquire);
            match state {
                COMPLETE => return,
                POISONED if !ignore_poison => poisoned(),
                RUNNING => self.wait_while(|state| state == RUNNING),
                _ => {
                    if self
                        .state
                        .compare_exchange(state, RUNNING, AcqRel, Relaxed)
                        .is_err()
                    {
                        continue;
                    }
                    let attempt = Attempt { once: self };
                    let told = OnceState {
                        poisoned: state == POISONED,
                        not_sync: PhantomData,
                    };
                    f(&told);
                    attempt.complete();
                    return;
                }
            }
        }
    }

    #[cold]
    #[track_caller]
    fn wait_while_pending(&self, ignore_poison: bool) {
        loop {
            match self.state.load(Acquire) {
                COMPLETE => return,
                POISONED if !ignore_poison => poisoned(),
                _ => self
                    .wait_while(|state| state != COMPLETE && (ignore_poison || state != POISONED)),
            }
        }
    }

    fn wait_while(&self, pending: impl Fn(u8) -> bool) {
        self.queue.wait("Once", Deadline::NEVER, || {
            pending(self.state.load(Relaxed))
        });
    }
}

#[track_caller]
fn poisoned() -> ! {
    panic!("Once instance has previously been poisoned");
}

/// An initialiser at work. If it unwinds, the `Once` is poisoned.
struct Attempt<'a> {
    once: &'a Once,
}

impl Attempt<'_> {
    fn complete(self) {
        self.end(COMPLETE);
        std::mem::forget(self);
    }

    fn end(&self, state: u8) {
        self.once.state.store(state, Release);
        self.once.queue.wake_all();
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.end(POISONED);
    }
}

impl OnceState {
    /// Whether an earlier initialiser panicked.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl fmt::Debug for OnceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceState")
            .field("poisoned", &self.is_poisoned())
            .finish()
    }
}

#[cfg(test)]
mod tests;
