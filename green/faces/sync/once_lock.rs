//! [`OnceLock`].
#![expect(
    unsafe_code,
    reason = "a cell that hands out references once it is written"
)]

use std::{
    cell::UnsafeCell,
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
};

use super::Once;

/// A cell that is written once, as [`std::sync::OnceLock`], and parks green threads while another
/// writes it.
///
/// # Differences from std
///
/// An initialiser may park.
///
/// # Examples
///
/// ```
/// use green::sync::OnceLock;
///
/// static NAME: OnceLock<String> = OnceLock::new();
///
/// assert_eq!(NAME.get(), None);
/// assert_eq!(NAME.get_or_init(|| "green".to_owned()), "green");
/// assert_eq!(NAME.set("blue".to_owned()), Err("blue".to_owned()));
/// ```
pub struct OnceLock<T> {
    once: Once,
    /// Written before `once` is completed. With no `Drop` of the cell's own, a reference in it need not live as
    /// long as the cell.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: sending the cell sends the value.
unsafe impl<T: Send> Send for OnceLock<T> {}
// SAFETY: `once` orders the one write before all reads; `T: Send`, as the writer may be another
// thread than the one that drops the value.
unsafe impl<T: Sync + Send> Sync for OnceLock<T> {}
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}
impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// Creates an empty cell.
    #[inline]
    #[must_use]
    pub const fn new() -> OnceLock<T> {
        OnceLock {
            once: Once::new(),
            value: UnsafeCell::new(None),
        }
    }

    /// The value, if it is there. Never waits.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: completed, as just checked.
        self.once
            .is_completed()
            .then(|| unsafe { self.get_unchecked() })
    }

    /// The value, mutably, if it is there.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Waits until the value is there.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::OnceLock;
    ///
    /// static ANSWER: OnceLock<u32> = OnceLock::new();
    ///
    /// let setter = green::thread::spawn(|| ANSWER.set(42));
    /// assert_eq!(*ANSWER.wait(), 42);
    /// # setter.join().unwrap().unwrap();
    /// ```
    #[inline]
    pub fn wait(&self) -> &T {
        self.once.wait_force();
        // SAFETY: `wait_force` returns when the initialiser has run.
        unsafe { self.get_unchecked() }
    }

    /// Stores the value, if the cell is empty; waits for an initialiser that is running.
    ///
    /// # Errors
    ///
    /// Gives `value` back if the cell was full.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::OnceLock;
    ///
    /// let cell = OnceLock::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    #[inline]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| {
            value
                .take()
                .expect("an initialiser runs at most once, and nothing else takes the value")
        });
        match value {
            None => Ok(()),
            Some(value) => Err(value),
        }
    }

    /// The value; if the cell is empty, `f` makes it. Of several threads one runs its `f`, and the
    /// others wait.
    ///
    /// `f` must not initialise the same cell: such a call never returns.
    ///
    /// # Panics
    ///
    /// If `f` panics; the cell stays empty then.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::OnceLock;
    ///
    /// let cell = OnceLock::new();
    /// assert_eq!(*cell.get_or_init(|| 1), 1);
    /// assert_eq!(*cell.get_or_init(|| unreachable!()), 1);
    /// ```
    #[inline]
    pub fn get_or_init<F>(&self, f: F) -> &T
    where
        F: FnOnce() -> T,
    {
        self.once.call_once_force(|_| {
            let value = f();
            // SAFETY: nobody reads before `once` is completed, and nobody else writes.
            unsafe { *self.value.get() = Some(value) };
        });
        // SAFETY: `call_once_force` returns when an initialiser has run.
        unsafe { self.get_unchecked() }
    }

    /// Unwraps the value.
    #[inline]
    pub fn into_inner(mut self) -> Option<T> {
        self.take()
    }

    /// Takes the value out, and leaves the cell empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use green::sync::OnceLock;
    ///
    /// let mut cell = OnceLock::from(1);
    /// assert_eq!(cell.take(), Some(1));
    /// assert_eq!(cell.get(), None);
    /// ```
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        // One that was poisoned stays so, as in std.
        if self.once.is_completed() {
            self.once = Once::new();
        }
        self.value.get_mut().take()
    }

    /// # Safety
    ///
    /// `once` is completed.
    #[inline]
    unsafe fn get_unchecked(&self) -> &T {
        // SAFETY: written when completed; after that nobody has `&mut` through `&`.
        unsafe { (*self.value.get()).as_ref().unwrap_unchecked() }
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> OnceLock<T> {
        match self.get() {
            Some(value) => OnceLock::from(value.clone()),
            None => OnceLock::new(),
        }
    }
}

impl<T> Default for OnceLock<T> {
    #[inline]
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> OnceLock<T> {
        let cell = OnceLock::new();
        cell.get_or_init(|| value);
        cell
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    #[inline]
    fn eq(&self, other: &OnceLock<T>) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => shown.field(value),
            None => shown.field(&format_args!("<uninit>")),
        };
        shown.finish()
    }
}

#[cfg(test)]
mod tests;
