//! Values that are made once. Their initialisers are shielded too, since one call both makes the
//! value and waits for it.

use std::ops::Deref;

use crate::shield;
use crate::shielded::{converted, shielded};
use crate::sync::{self, OnceState};

shielded! {
    /// As [`sync::Once`].
    Once [] [] over sync::Once
}
converted! { Once [] [] over sync::Once }

/// As [`sync::ONCE_INIT`].
#[deprecated(note = "the `Once::new()` function is now preferred")]
#[expect(
    clippy::declare_interior_mutable_const,
    reason = "std's own name, for statics; each use makes a new one, as meant"
)]
pub const ONCE_INIT: Once = Once::new();

impl Once {
    /// As [`sync::Once::new`].
    #[expect(clippy::new_without_default, reason = "std has none either")]
    pub const fn new() -> Once {
        Once(sync::Once::new())
    }

    /// As [`sync::Once::call_once`].
    ///
    /// # Panics
    ///
    /// As [`sync::Once::call_once`].
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        shield(|| self.0.call_once(f));
    }

    /// As [`sync::Once::call_once_force`].
    ///
    /// # Panics
    ///
    /// As `f` does.
    pub fn call_once_force<F: FnOnce(&OnceState)>(&self, f: F) {
        shield(|| self.0.call_once_force(f));
    }

    /// As [`sync::Once::wait`].
    ///
    /// # Panics
    ///
    /// As [`sync::Once::wait`].
    pub fn wait(&self) {
        shield(|| self.0.wait());
    }

    /// As [`sync::Once::wait_force`].
    pub fn wait_force(&self) {
        shield(|| self.0.wait_force());
    }
}

shielded! {
    /// As [`sync::OnceLock`].
    #[derive(Clone, PartialEq, Eq)]
    OnceLock [T] [T] over sync::OnceLock<T>
}
converted! { OnceLock [T] [T] over sync::OnceLock<T> }

impl<T> Default for OnceLock<T> {
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T> OnceLock<T> {
    /// As [`sync::OnceLock::new`].
    pub const fn new() -> OnceLock<T> {
        OnceLock(sync::OnceLock::new())
    }

    /// As [`sync::OnceLock::wait`].
    pub fn wait(&self) -> &T {
        shield(|| self.0.wait())
    }

    /// As [`sync::OnceLock::set`].
    ///
    /// # Errors
    ///
    /// Gives `value` back if the cell was full.
    pub fn set(&self, value: T) -> Result<(), T> {
        shield(|| self.0.set(value))
    }

    /// As [`sync::OnceLock::get_or_init`].
    ///
    /// # Panics
    ///
    /// As `f` does.
    pub fn get_or_init<F: FnOnce() -> T>(&self, f: F) -> &T {
        shield(|| self.0.get_or_init(f))
    }

    /// As [`sync::OnceLock::into_inner`].
    pub fn into_inner(self) -> Option<T> {
        self.0.into_inner()
    }
}

/// As [`sync::LazyLock`].
#[derive(Debug)]
pub struct LazyLock<T, F = fn() -> T>(sync::LazyLock<T, F>);

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// As [`sync::LazyLock::new`].
    pub const fn new(f: F) -> LazyLock<T, F> {
        LazyLock(sync::LazyLock::new(f))
    }

    /// As [`sync::LazyLock::force`].
    ///
    /// # Panics
    ///
    /// As [`sync::LazyLock::force`].
    pub fn force(this: &LazyLock<T, F>) -> &T {
        shield(|| sync::LazyLock::force(&this.0))
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> LazyLock<T> {
        LazyLock::new(T::default)
    }
}
