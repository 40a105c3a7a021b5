//! Catching panics, and nothing else.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::contain::contain;
use crate::hub::interrupt::{Raised, resume_unwind};

/// Runs `f` and catches its panic; a kill and a time limit, which unwind as well, pass through.
///
/// For code that calls others' code and goes on after a panic, such as a server that calls
/// handlers.
///
/// # Errors
///
/// The panic's payload, whose drop may panic: [`discard_panic`] bears that.
///
/// ```
/// use std::time::Duration;
///
/// let panicked = greenhub::catch_panic(|| panic!("caught"));
/// assert!(panicked.is_err());
/// let limit = Duration::from_millis(1);
/// let elapsed = green::timeout(limit, || greenhub::catch_panic(green::thread::park));
/// assert!(elapsed.is_err(), "not caught in there");
/// ```
pub fn catch_panic<T>(f: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| match payload.is::<Raised>() {
        true => resume_unwind(payload),
        false => payload,
    })
}

/// Drops the payload of a panic that was caught. A panic of its destructor goes no further either.
///
/// ```
/// struct Bomb;
///
/// impl Drop for Bomb {
///     fn drop(&mut self) {
///         panic!("dropped");
///     }
/// }
///
/// let panicked = greenhub::catch_panic(|| std::panic::resume_unwind(Box::new(Bomb)));
/// assert_eq!(panicked.map_err(greenhub::discard_panic), Err::<(), ()>(()));
/// ```
pub fn discard_panic(payload: Box<dyn Any + Send>) {
    contain(|| drop(payload));
}

/// The words of a panic that was caught, if it has some: a payload may be of any type.
///
/// ```
/// let panicked = greenhub::catch_panic(|| panic!("{} words", 2)).unwrap_err();
/// assert_eq!(greenhub::panic_message(&*panicked), Some("2 words"));
/// assert_eq!(greenhub::panic_message(&2), None);
/// ```
pub fn panic_message(payload: &(dyn Any + Send)) -> Option<&str> {
    match payload.downcast_ref::<String>() {
        Some(message) => Some(message),
        None => payload.downcast_ref::<&str>().copied(),
    }
}
