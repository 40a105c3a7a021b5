//! How the tests of `green::sync` and `green::channel` run: bounded in time, on the first hub or on any thread.

use std::time::Duration;

use greenhub::green_thread::{self, Builder, JoinHandle};

const LIMIT: Duration = Duration::from_secs(120);

pub fn bounded(name: &str, body: impl FnOnce() + Send + 'static) {
    crate::bounded(name, LIMIT, body);
}

/// Starts a green thread on the first hub, so that several share it.
pub fn on_hub<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().hub(0).spawn(body).unwrap()
}

/// Runs the body as a green thread of the first hub.
pub fn green(name: &str, body: impl FnOnce() + Send + 'static) {
    bounded(name, || {
        on_hub(body)
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Lets the others of this hub run until they have nothing more to do.
pub fn settle() {
    for _ in 0..10 {
        green_thread::yield_now();
    }
}
