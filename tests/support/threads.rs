//! What the tests of green threads share: a hub a test, planned panics, and what another waits for.

use std::panic::{self, resume_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use greenhub::green_thread::{self, Builder, JoinHandle, sleep};
use greenhub::{Config, Killed, Site, State, report};

pub const LIMIT: Duration = Duration::from_secs(120);
pub const MILLISECOND: Duration = Duration::from_millis(1);

/// Runs `body` as a green thread on a hub of its own, bounded in time.
pub fn green<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> T {
    static NEXT_HUB: AtomicUsize = AtomicUsize::new(1);
    prepare();
    crate::bounded(name, LIMIT, || {
        Builder::new()
            .hub(NEXT_HUB.fetch_add(1, SeqCst))
            .spawn(body)
            .unwrap()
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// What the green thread waits for now, if it waits.
pub fn site<T>(handle: &JoinHandle<T>) -> Option<Site> {
    let id = handle.thread().id();
    let report = report();
    match report.threads.iter().find(|thread| thread.id == id)?.state {
        State::Waiting(site) => Some(site),
        _ => None,
    }
}

/// What is left of the limit of its wait, if it waits and there is one.
pub fn time_left<T>(handle: &JoinHandle<T>) -> Option<Duration> {
    let id = handle.thread().id();
    let report = report();
    let listed = report.threads.iter().find(|thread| thread.id == id)?;
    listed.time_left
}

pub fn until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(MILLISECOND / 4);
    }
}

pub fn is_killed<T>(ended: green_thread::Result<T>) -> bool {
    ended.is_err_and(|payload| payload.is::<Killed>())
}

/// Calls a function when it is dropped.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Panics as users do, but prints nothing.
pub fn planned_panic() -> ! {
    panic!("planned")
}

/// Asks for a hub a test, and keeps planned panics quiet. Before the first green
/// thread: the runtime puts its own hook in front, which must hear of every
/// panic.
pub fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        Config::new().hubs(64).apply().unwrap();
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some("planned") {
                previous(info);
            }
        }));
    });
}

/// Panics with a payload that no hook hears of.
pub fn fail_quietly<T>(payload: T) -> !
where
    T: Send + 'static,
{
    resume_unwind(Box::new(payload))
}
