//! A short visit of a green thread to what belongs to its OS thread: the stack, and the thread-locals.

use super::current;
use super::wait::without_waiting;
use crate::thread_locals;

/// Why nobody waits there.
const SHORT: &str = "a call on the hub's own stack cannot wait";

/// On a green thread, calls `f` on the stack of its hub and, where it has thread-locals of its own, with those of the OS
/// thread. Elsewhere it only calls `f`.
///
/// For libraries that keep something large for each thread, or use much of a stack, and whose calls are
/// short. `f` must not wait: it runs in [`without_waiting`]. A call within `f` stays on that stack.
///
/// # Panics
///
/// As `f` does.
#[doc(hidden)]
pub fn on_os_thread<R>(f: impl FnOnce() -> R) -> R {
    if !current::is_green() {
        return f();
    }
    // There, where it is asked why.
    let visit = || thread_locals::on_os_thread(|| without_waiting(SHORT, f));
    current::with(|task| match task.green() {
        Some(green) => green.legs.call_on_hub(visit),
        None => visit(),
    })
}
