//! Calls that block, on the pool's OS threads.

use std::error::Error;

use greenhub::green_thread::{self, Ending};
use greenhub::{Killed, blocking, catch_panic};

use super::futures::Future;

/// Runs `f`, which may block, on an OS thread of the [blocking pool](crate::blocking()); the future completes with what
/// it returns.
///
/// If the future is cancelled before `f` begins, `f` does not run; if later, `f` runs to its end and its result is
/// dropped. A panic of `f` is an [`Exception`](super::FutureError::Exception) with the panic's message.
///
/// # Panics
///
/// If no green thread can be started, as [`thread::spawn`](crate::thread::spawn).
///
/// # Differences from asyncio
///
/// There is one pool; no other executor can be given.
///
/// # Examples
///
/// ```
/// use green::asyncio::run_in_executor;
///
/// let size = run_in_executor(|| std::fs::metadata("/proc/self/exe").map(|file| file.len()));
/// assert!(size.wait(None)? > 0);
///
/// let missing = run_in_executor(|| std::fs::read("/nowhere"));
/// let error: std::io::Error = missing.wait(None).unwrap_err().into();
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// # Ok::<(), green::asyncio::FutureError>(())
/// ```
pub fn run_in_executor<T, E>(f: impl FnOnce() -> Result<T, E> + Send + 'static) -> Future<T>
where
    T: Send + Sync + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
{
    let future = Future::new();
    let promise = future.clone();
    let unmet = future.clone();
    let runs = green_thread::spawn(move || {
        let theirs = promise.clone();
        let work = move || (!theirs.done()).then(f);
        let outcome = catch_panic(|| blocking(work));
        // Completed by now only if it was cancelled, and then nobody wants the outcome.
        let _ = match outcome {
            Ok(None) => return,
            Ok(Some(Ok(result))) => promise.set_result(result),
            Ok(Some(Err(error))) => promise.set_exception(error),
            Err(panic) => {
                let message = greenhub::panic_message(&*panic);
                let message = message.unwrap_or("the call panicked").to_owned();
                greenhub::discard_panic(panic);
                promise.set_exception(message)
            }
        };
    });
    // Killed before it began or at work, it has completed nothing.
    runs.link(move |ending| {
        if ending == Ending::Killed {
            let _ = unmet.set_exception(Killed);
        }
    });
    future
}
