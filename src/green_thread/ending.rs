//! How a green thread ends, and what it leaves.

use std::any::Any;

use crate::error::Killed;

/// What a join returns: the value, or the panic's payload. A green thread that
/// was killed gives [`Killed`](crate::Killed).
pub type Result<T> = std::result::Result<T, Box<dyn Any + Send + 'static>>;

/// How a green thread ended, as a [link](super::JoinHandle::link) is told.
///
/// ```
/// use std::sync::mpsc;
///
/// use green::thread::{Ending, park, spawn};
///
/// let (endings, watched) = mpsc::channel();
/// let (parked, returned) = (spawn(park), spawn(|| ()));
/// for handle in [&parked, &returned] {
///     let endings = endings.clone();
///     handle.link(move |ending| endings.send(ending).unwrap());
/// }
/// assert_eq!(watched.recv(), Ok(Ending::Returned));
/// parked.kill().unwrap();
/// assert_eq!(watched.recv(), Ok(Ending::Killed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It returned a value.
    Returned,
    /// It panicked, or could not be started for lack of a stack.
    Panicked,
    /// It was killed or cancelled.
    Killed,
}

impl Ending {
    pub(super) fn of<T>(result: &Result<T>) -> Ending {
        match result {
            Ok(_) => Ending::Returned,
            Err(payload) if Killed::caused(&**payload) => Ending::Killed,
            Err(_) => Ending::Panicked,
        }
    }
}
