//! Values per green thread: `thread_local!`, as std has it.
//!
//! On a plain OS thread they are values per OS thread.
//!
//! # Safety
//!
//! A value is reached by its own thread alone (through [`current::with`]), or by
//! the OS thread that all who share it run on, and it stays where it is until the
//! thread ends ([`values`](crate::hub::values)). So a reference to
//! it stays good while the thread runs code that is not the value's own
//! destructor, which cannot reach it any more.
#![expect(unsafe_code, reason = "a value outlives the look at where it is")]

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;

use crate::hub::current;
use crate::hub::task::Task;
use crate::hub::values::Gone;

/// Declares values per green thread, with std's syntax, `const { … }` included.
///
/// ```
/// use std::cell::Cell;
///
/// use green::thread;
///
/// green::thread_local! {
///     static COUNT: Cell<u32> = const { Cell::new(1) };
/// }
///
/// COUNT.set(2);
/// thread::spawn(|| assert_eq!(COUNT.get(), 1)).join().unwrap();
/// assert_eq!(COUNT.get(), 2);
/// ```
#[macro_export]
macro_rules! thread_local {
    () => {};
    ($(#[$attribute:meta])* $vis:vis static $name:ident : $type:ty = const $init:block; $($rest:tt)*) => {
        $crate::thread_local!($(#[$attribute])* $vis static $name: $type = const $init);
        $crate::thread_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $vis:vis static $name:ident : $type:ty = const $init:block) => {
        $(#[$attribute])*
        $vis static $name: $crate::green_thread::LocalKey<$type> =
            $crate::green_thread::LocalKey::__new(|| const { $init });
    };
    ($(#[$attribute:meta])* $vis:vis static $name:ident : $type:ty = $init:expr; $($rest:tt)*) => {
        $crate::thread_local!($(#[$attribute])* $vis static $name: $type = $init);
        $crate::thread_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $vis:vis static $name:ident : $type:ty = $init:expr) => {
        $(#[$attribute])*
        $vis static $name: $crate::green_thread::LocalKey<$type> =
            $crate::green_thread::LocalKey::__new(|| $init);
    };
}

/// A value per green thread, declared by [`thread_local!`](crate::thread_local!).
///
/// It is made at its first use, and dropped when the green thread ends, before
/// a join returns; the last one made is dropped first.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
///
/// use green::thread::spawn;
///
/// green::thread_local! {
///     static COUNT: Cell<u32> = const { Cell::new(0) };
/// }
///
/// COUNT.set(1);
/// let other = spawn(|| COUNT.replace(5)).join().unwrap();
/// assert_eq!((other, COUNT.get()), (0, 1));
/// ```
pub struct LocalKey<T: 'static> {
    init: fn() -> T,
}

/// The value is being, or has been, dropped: its thread is ending.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessError;

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessError").finish()
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("already destroyed")
    }
}

impl Error for AccessError {}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn __new(init: fn() -> T) -> LocalKey<T> {
        LocalKey { init }
    }

    /// Calls `f` with the running thread's value, made now if it is the first
    /// use.
    ///
    /// # Panics
    ///
    /// If the value is being or has been dropped.
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.try_with(f)
            .expect("cannot access a Thread Local Storage value during or after destruction")
    }

    /// As [`with`](LocalKey::with).
    ///
    /// # Errors
    ///
    /// [`AccessError`] if the value is being or has been dropped.
    pub fn try_with<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        self.initialize_with(None, |first, value| {
            drop(first);
            f(value)
        })
    }

    /// As [`try_with`](LocalKey::try_with), with the OS thread's value, which all
    /// green threads of a hub share.
    ///
    /// For values that each hub keeps once, such as memory to be used again. `f` must not wait, so
    /// that no other green thread sees the value half changed.
    ///
    /// # Errors
    ///
    /// As [`try_with`](LocalKey::try_with).
    ///
    /// ```
    /// use std::cell::Cell;
    ///
    /// use green::thread::Builder;
    ///
    /// green::thread_local! {
    ///     static NEXT: Cell<u32> = const { Cell::new(0) };
    /// }
    ///
    /// let next = || NEXT.try_with_shared(|next| next.replace(next.get() + 1));
    /// let first = Builder::new().hub(0).spawn(next)?.join().unwrap();
    /// let second = Builder::new().hub(0).spawn(next)?.join().unwrap();
    /// assert_eq!((first, second), (Ok(0), Ok(1)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_with_shared<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        current::with_os_task(|task| {
            self.initialize_of(task, None, |first, value| {
                drop(first);
                f(value)
            })
        })
    }

    /// Calls `f` with the value; if it had to be made, it was made of `first`,
    /// else `first` is handed back.
    fn initialize_with<R>(
        &'static self,
        first: Option<T>,
        f: impl FnOnce(Option<T>, &T) -> R,
    ) -> Result<R, AccessError> {
        current::with(|task| self.initialize_of(task, first, f))
    }

    fn initialize_of<R>(
        &'static self,
        task: &Task,
        mut first: Option<T>,
        f: impl FnOnce(Option<T>, &T) -> R,
    ) -> Result<R, AccessError> {
        let key = std::ptr::from_ref(self) as usize;
        let value = match task.values.find(key).map_err(|Gone| AccessError)? {
            Some(value) => value,
            None => {
                // Made outside the lock: `init` may use other keys, or, by
                // recursion, this one.
                let made = Box::new(first.take().unwrap_or_else(self.init));
                task.values.insert(key, made)
            }
        };
        // SAFETY: module, # Safety.
        Ok(f(first, unsafe { &*value }))
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Sets the value; if this is its first use, it is not made first.
    ///
    /// # Panics
    ///
    /// If the value is being or has been dropped.
    pub fn set(&'static self, value: T) {
        self.initialize_with(Some(Cell::new(value)), |value, cell| {
            if let Some(value) = value {
                cell.set(value.into_inner());
            }
        })
        .expect("cannot access a Thread Local Storage value during or after destruction");
    }

    /// A copy of the value.
    ///
    /// # Panics
    ///
    /// As [`with`](LocalKey::with).
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value and leaves the default.
    ///
    /// # Panics
    ///
    /// As [`with`](LocalKey::with).
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Sets the value and gives the old one.
    ///
    /// # Panics
    ///
    /// As [`with`](LocalKey::with).
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Calls `f` with the value borrowed.
    ///
    /// # Panics
    ///
    /// If it is mutably borrowed, also by a wait inside such a borrow, and as
    /// [`with`](LocalKey::with).
    pub fn with_borrow<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Calls `f` with the value mutably borrowed.
    ///
    /// # Panics
    ///
    /// If it is borrowed, and as [`with`](LocalKey::with).
    pub fn with_borrow_mut<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&mut T) -> R,
    {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Sets the value; if this is its first use, it is not made first.
    ///
    /// # Panics
    ///
    /// If it is borrowed, or is being or has been dropped.
    pub fn set(&'static self, value: T) {
        self.initialize_with(Some(RefCell::new(value)), |value, cell| {
            if let Some(value) = value {
                *cell.borrow_mut() = value.into_inner();
            }
        })
        .expect("cannot access a Thread Local Storage value during or after destruction");
    }

    /// Takes the value and leaves the default.
    ///
    /// # Panics
    ///
    /// If it is borrowed, and as [`with`](LocalKey::with).
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Sets the value and gives the old one.
    ///
    /// # Panics
    ///
    /// If it is borrowed, and as [`with`](LocalKey::with).
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}
