//! Callbacks for signals.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::io;
use std::sync::Arc;

use greenhub::green_thread::Builder;
use greenhub::wait_queue::ShortLock;

use super::calls::Calls;
use crate::signal::Signals;

/// The listener of each signal that has a handler.
static HANDLERS: ShortLock<BTreeMap<c_int, Arc<Signals>>> = ShortLock::new(BTreeMap::new());

/// Calls `callback` whenever `signal` comes, instead of the one that was set for it before, if any.
///
/// It runs as with [`call_soon`](super::call_soon), on the hub that this was called on: on an ordinary green thread, so
/// it may do anything. Signals of one kind that come faster than they are handled count as one. Each signal has a green
/// thread of its own that waits for it.
///
/// # Errors
///
/// As [`Signals::new`]; if no green thread can be started, as [`Builder::spawn`](crate::thread::Builder::spawn).
///
/// # Panics
///
/// As [`call_soon`](super::call_soon).
///
/// # Examples
///
/// ```
/// use green::asyncio::{Future, add_signal_handler, remove_signal_handler};
/// use green::signal::consts::SIGUSR1;
///
/// let stop = Future::new();
/// let theirs = stop.clone();
/// add_signal_handler(SIGUSR1, move || drop(theirs.set_result("told to stop")))?;
/// signal_hook::low_level::raise(SIGUSR1)?;
/// assert_eq!(stop.wait(None)?, "told to stop");
/// assert!(remove_signal_handler(SIGUSR1));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn add_signal_handler(
    signal: c_int,
    callback: impl Fn() + Send + Sync + 'static,
) -> io::Result<()> {
    let signals = Arc::new(Signals::new([signal])?);
    let (heard, calls, callback) = (Arc::clone(&signals), Calls::here(), Arc::new(callback));
    let listener = move || {
        for _ in &*heard {
            let callback = Arc::clone(&callback);
            calls.soon(Box::new(move || callback()));
        }
    };
    let name = format!("asyncio signal {signal}");
    let listener = Builder::new().name(name).spawn(listener)?;
    let before = HANDLERS.lock().insert(signal, signals.clone());
    if let Some(before) = before {
        before.close();
    }
    // Killed, it is as if the handler had been removed.
    listener.link(move |_| {
        signals.close();
        let mut handlers = HANDLERS.lock();
        if handlers
            .get(&signal)
            .is_some_and(|now| Arc::ptr_eq(now, &signals))
        {
            handlers.remove(&signal);
        }
    });
    Ok(())
}

/// Removes the callback of `signal`; false if there was none. One that is about to run still does.
///
/// # Differences from asyncio
///
/// The signal is ignored from then on, as with [`green::signal`](crate::signal), where asyncio restores the system's
/// default. `signal_hook::low_level::emulate_default_handler` does that on demand.
///
/// # Examples
///
/// ```
/// use green::asyncio::{add_signal_handler, remove_signal_handler};
/// use green::signal::consts::SIGUSR2;
///
/// add_signal_handler(SIGUSR2, || unreachable!())?;
/// assert!(remove_signal_handler(SIGUSR2));
/// signal_hook::low_level::raise(SIGUSR2)?;
/// assert!(!remove_signal_handler(SIGUSR2), "there is none any more");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn remove_signal_handler(signal: c_int) -> bool {
    let handler = HANDLERS.lock().remove(&signal);
    let had_one = handler.is_some();
    if let Some(signals) = handler {
        signals.close();
    }
    had_one
}
