//! Values that a green thread hands down to those that it starts.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::hub::current;
use crate::hub::heritage::{Value, is_used, is_used_from_now_on};
use crate::hub::task::Task;

/// A value that new green threads inherit: the number of a request, say, which all threads that work
/// on the request can log. Python's `contextvars.ContextVar`.
///
/// A green thread begins with the values that its spawner had at the spawn, whichever function was
/// used, even if it starts later. From then on the two are independent: what one sets, the other does
/// not see. A green thread that an OS thread starts inherits as well; an OS thread that is started
/// does not, nor does work handed to the pool of [`blocking`](crate::blocking()).
///
/// It works the same where thread-locals are a green thread's own and where they are shared.
///
/// # Examples
///
/// ```
/// use green::thread::{self, Inherited};
///
/// static REQUEST: Inherited<u64> = Inherited::new();
///
/// fn log(what: &str) -> String {
///     format!("{}: {what}", REQUEST.get().map_or("-".to_owned(), |number| number.to_string()))
/// }
///
/// let handlers = [7, 8].map(|number| {
///     thread::spawn(move || {
///         let _here = REQUEST.set(number);
///         // It need not know whom it works for.
///         thread::spawn(|| log("worked")).join().unwrap()
///     })
/// });
/// assert_eq!(handlers.map(|handler| handler.join().unwrap()), ["7: worked", "8: worked"]);
/// assert_eq!(log("nobody's"), "-: nobody's");
/// ```
pub struct Inherited<T> {
    /// The address of this byte is the key: a value without a size might share its address.
    _place: u8,
    value: PhantomData<fn(T) -> T>,
}

impl<T> Inherited<T> {
    /// A value that nobody has set yet.
    #[must_use]
    pub const fn new() -> Inherited<T> {
        Inherited {
            _place: 0,
            value: PhantomData,
        }
    }
}

impl<T: Send + Sync + 'static> Inherited<T> {
    fn key(&'static self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Sets the running thread's value until the guard is dropped: then it is again what it was
    /// before. Guards are dropped in the reverse of the order in which they were made. If a guard is
    /// forgotten (`mem::forget`), the green thread keeps the value to its end.
    ///
    /// ```
    /// use green::thread::Inherited;
    ///
    /// static USER: Inherited<&str> = Inherited::new();
    ///
    /// let outer = USER.set("ann");
    /// let inner = USER.set("bob");
    /// assert_eq!(USER.get(), Some("bob"));
    /// drop(inner);
    /// assert_eq!(USER.get(), Some("ann"));
    /// drop(outer);
    /// assert_eq!(USER.get(), None);
    /// ```
    #[must_use = "the value is set until the guard is dropped"]
    pub fn set(&'static self, value: T) -> InheritedGuard<T> {
        InheritedGuard {
            key: self.key(),
            before: set(self.key(), Some(Arc::new(value))),
            value: PhantomData,
        }
    }

    /// Calls `f` with the running thread's value, if it has one.
    ///
    /// ```
    /// use green::thread::Inherited;
    ///
    /// static NAMES: Inherited<Vec<&str>> = Inherited::new();
    ///
    /// let _set = NAMES.set(vec!["a", "b"]);
    /// assert_eq!(NAMES.with(|names| names.map(Vec::len)), Some(2));
    /// ```
    pub fn with<R>(&'static self, f: impl FnOnce(Option<&T>) -> R) -> R {
        let value = get(self.key());
        f(value
            .as_deref()
            .and_then(|value: &(dyn Any + Send + Sync)| value.downcast_ref()))
    }

    /// A clone of the running thread's value, if it has one.
    pub fn get(&'static self) -> Option<T>
    where
        T: Clone,
    {
        self.with(|value| value.cloned())
    }
}

impl<T> Default for Inherited<T> {
    fn default() -> Inherited<T> {
        Inherited::new()
    }
}

impl<T> fmt::Debug for Inherited<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inherited").finish_non_exhaustive()
    }
}

/// Keeps a value set as long as this lives: see [`Inherited::set`]. It cannot be sent to another
/// thread.
pub struct InheritedGuard<T> {
    key: usize,
    before: Option<Value>,
    /// Neither sent nor shared.
    value: PhantomData<*const T>,
}

impl<T> Drop for InheritedGuard<T> {
    fn drop(&mut self) {
        set(self.key, self.before.take());
    }
}

impl<T> fmt::Debug for InheritedGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InheritedGuard").finish_non_exhaustive()
    }
}

/// The running thread's value.
fn get(key: usize) -> Option<Value> {
    match is_used() {
        true => current::with(|task| task.heritage.lock().get(key).cloned()),
        false => None,
    }
}

/// Sets the running thread's value, and gives the one before.
fn set(key: usize, value: Option<Value>) -> Option<Value> {
    is_used_from_now_on();
    let (before, old) = current::with(|task| {
        let heritage = task.heritage.lock().clone();
        let before = heritage.get(key).cloned();
        let new = heritage.with(key, value);
        (before, std::mem::replace(&mut *task.heritage.lock(), new))
    });
    // Not under the lock: what it holds may be somebody's to drop.
    drop(old);
    before
}

/// Gives a green thread that is about to be started what the running one has.
#[inline(always)]
pub(super) fn hand_down(heir: &Task) {
    if is_used() {
        let own = current::with(|task| task.heritage.lock().clone());
        *heir.heritage.lock() = own;
    }
}
