//! Whose thread-locals a green thread has: its own and its hub's, each in a process of its own.
#![expect(unsafe_code, reason = "calls what C programs call")]

mod allocators;
mod crates;
mod hazards;
mod inherited;
mod library;
mod limits;
mod process;
mod setting;
mod unwinds;
mod values;

use test_support::child::alone;

const SETTING: &str = "GREEN_THREAD_LOCALS";

/// Runs `body` in a process where green threads have thread-locals of their own, and
/// in one where they share them; it is told which. One hub, so that they are
/// neighbours.
fn in_both(name: &str, body: fn(bool)) {
    with_hubs(name, "1", body);
}

fn with_hubs(name: &str, hubs: &str, body: fn(bool)) {
    for mode in ["own", "shared"] {
        let environment = [(SETTING, mode), ("GREEN_HUBS", hubs)];
        alone(name, &environment, || {
            let own = std::env::var(SETTING).is_ok_and(|mode| mode == "own");
            if own && !can_be_own() {
                return;
            }
            body(own);
        })
        .well();
    }
}

/// Whether they can be: says why, if not.
fn can_be_own() -> bool {
    match greenhub::hub_count() {
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
            eprintln!("skipped: {error}");
            false
        }
        started => started.is_ok(),
    }
}
