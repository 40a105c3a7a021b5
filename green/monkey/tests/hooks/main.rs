//! Each hook: unmodified code waits on a green thread, and what it waits for is done by another
//! green thread of the same hub. So a call that held its hub would never return.

mod commands;
mod files;
mod interrupts;
mod locks;
mod polls;
mod processes;
mod safety;
mod sockets;
mod storm;
mod symbols;
mod terms;
mod times;
mod unreached;

use std::panic::resume_unwind;
use std::sync::Once;
use std::time::Duration;

use green::thread::{self, Builder, spawn_local};
use green_monkey::{Patch, monkey_patch};

/// Long enough that a test that waits for it fails.
const LONG: Duration = Duration::from_secs(3600);
/// For whoever must be waiting by then.
const SOON: Duration = Duration::from_millis(10);

#[expect(unsafe_code, reason = "the tests are patched as a whole")]
fn patched() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hubs = std::env::var("GREEN_HUBS").map_or(2, |hubs| hubs.parse().unwrap());
        green::Config::new()
            .hubs(hubs)
            .stack_size(256 * 1024)
            .apply()
            .unwrap();
        // SAFETY: these tests are about it.
        unsafe { monkey_patch(Patch::all()) }.unwrap();
    });
}

/// Runs `body` patched, as a green thread on hub 0, bounded in time.
fn green(name: &str, body: impl FnOnce() + Send + 'static) {
    test_support::bounded(name, Duration::from_secs(60), || {
        patched();
        let body = Builder::new().hub(0).spawn(body).unwrap();
        body.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Calls `blocks`, and once it waits has a neighbour on the same hub do what ends it.
fn parks<T, E>(blocks: impl FnOnce() -> T, ends: impl FnOnce() -> E + 'static) -> T {
    let neighbour = spawn_local(move || {
        thread::sleep(SOON);
        let _ = ends();
    });
    let given = blocks();
    assert!(
        neighbour.is_finished() || neighbour.join().is_ok(),
        "it waited"
    );
    given
}

/// The code of an error of the system's.
fn code<T>(outcome: std::io::Result<T>) -> i32 {
    outcome
        .err()
        .and_then(|error| error.raw_os_error())
        .unwrap_or(0)
}

/// What a call of C gave.
fn cvt(given: isize) -> std::io::Result<usize> {
    usize::try_from(given).map_err(|_| std::io::Error::last_os_error())
}
