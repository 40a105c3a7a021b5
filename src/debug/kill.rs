//! Ending a green thread of which only the id is known.

use std::io;

use crate::green_thread;
use crate::hub::placement;

/// Ends the green thread with this id, as
/// [`JoinHandle::kill`](crate::green_thread::JoinHandle::kill) does; `Ok(false)`
/// if there is no such green thread, or it has ended. One that has just ended may still count for a
/// moment.
///
/// This is for consoles: a program that has the handle uses that.
///
/// # Errors
///
/// `Unsupported` in a program built with `panic = "abort"`.
///
/// ```
/// use std::time::Duration;
///
/// use green::thread::{sleep, spawn};
///
/// let sleeper = spawn(|| sleep(Duration::from_secs(3600)));
/// let id = sleeper.thread().id().as_u64().get();
/// assert!(green::debug::kill(id)?);
/// assert!(sleeper.join().unwrap_err().is::<green::Killed>());
/// while green::debug::kill(id)? {} // Until its hub has let go of it.
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn kill(id: u64) -> io::Result<bool> {
    let found = placement::started().iter().find_map(|hub| {
        let threads = hub.threads.lock();
        let task = threads.iter().find(|(_, task)| task.id == id);
        task.map(|(_, task)| task.clone())
    });
    match found {
        Some(task) => green_thread::kill(&task).map(|()| true),
        None => Ok(false),
    }
}
