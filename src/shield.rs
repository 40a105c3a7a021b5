//! Waits that no kill and no limit from outside ends.

use crate::hub::interrupt::Shield;

/// Runs `f`, whose waits end as std's do: neither by a kill of the running thread nor by a time limit around the call.
///
/// Both stay in force, and end the first wait after `f`. A limit that is set inside `f` ends waits in its block as
/// usual, since its unwind does not leave `f`.
///
/// A wait of this crate can unwind where std's cannot, and `unsafe` code that was written for std may rely on that: for
/// example, it lends part of its stack to another thread and waits until that is done. Such a wait belongs in here.
/// A kill has to wait too, for as long as `f` takes.
///
/// ```
/// use std::sync::mpsc::channel;
/// use std::time::Duration;
///
/// use green::{thread, shield};
///
/// let (tell, told) = channel();
/// let thread = thread::spawn(move || {
///     shield(|| {
///         tell.send("it sleeps").unwrap();
///         thread::sleep(Duration::from_millis(20));
///     });
///     tell.send("that came to its end").unwrap();
///     thread::sleep(Duration::from_secs(3600));
/// });
/// assert_eq!(told.recv(), Ok("it sleeps"));
/// thread.kill();
/// assert!(thread.join().is_err());
/// assert_eq!(told.recv(), Ok("that came to its end"));
/// ```
///
/// # Panics
///
/// As `f` does; and with 65,535 shields or more inside one another.
pub fn shield<R>(f: impl FnOnce() -> R) -> R {
    let _shield = Shield::new();
    f()
}
