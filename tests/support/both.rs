//! Runs a test's body on both kinds of threads.

use std::time::Duration;

use crate::bounded;

const LIMIT: Duration = Duration::from_secs(120);

/// Runs `body` on an OS thread and again on a green thread, bounded in time.
pub fn on_both(name: &str, body: fn()) {
    bounded(name, LIMIT, body);
    bounded(name, LIMIT, || green::run(body));
}
