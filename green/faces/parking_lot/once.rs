//! [`Once`], which tells its state.

use crate::sync;
use crate::sync::once::Stage;

/// A one-time initialisation.
#[derive(Debug)]
pub struct Once(sync::Once);

/// How far a [`Once`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnceState {
    /// No initialiser has run.
    New,
    /// One has run, and panicked.
    Poisoned,
    /// One is running.
    InProgress,
    /// One has run to its end.
    Done,
}

impl OnceState {
    /// Whether an initialiser panicked.
    #[must_use]
    pub fn poisoned(self) -> bool {
        self == OnceState::Poisoned
    }

    /// Whether an initialiser has run to its end.
    #[must_use]
    pub fn done(self) -> bool {
        self == OnceState::Done
    }
}

impl Default for Once {
    fn default() -> Once {
        Once::new()
    }
}

impl Once {
    /// Creates a `Once` that has not run.
    #[must_use]
    pub const fn new() -> Once {
        Once(sync::Once::new())
    }

    /// How far it has come.
    pub fn state(&self) -> OnceState {
        match self.0.stage() {
            Stage::Incomplete => OnceState::New,
            Stage::Poisoned => OnceState::Poisoned,
            Stage::Running => OnceState::InProgress,
            Stage::Complete => OnceState::Done,
        }
    }

    /// Runs `f` unless an initialiser has run already; waits for one that is running.
    ///
    /// # Panics
    ///
    /// If an earlier initialiser panicked.
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        self.0.call_once(f);
    }

    /// As [`call_once`](Once::call_once), but runs `f` also after an initialiser that panicked.
    pub fn call_once_force<F: FnOnce(OnceState)>(&self, f: F) {
        self.0.call_once_force(|state| {
            f(match state.is_poisoned() {
                true => OnceState::Poisoned,
                false => OnceState::New,
            });
        });
    }
}
