//! An error whose drop waits, as a user's may.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// Counts itself when it has been dropped; its drop waits before that.
#[derive(Debug)]
struct WaitsInDrop(Arc<AtomicUsize>);

impl fmt::Display for WaitsInDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error whose drop waits")
    }
}

impl Error for WaitsInDrop {}

impl Drop for WaitsInDrop {
    fn drop(&mut self) {
        // Under a short lock this panics, in a debug build.
        greenhub::green_thread::sleep(Duration::from_millis(1));
        self.0.fetch_add(1, SeqCst);
    }
}

pub fn error_that_waits_in_drop(dropped: &Arc<AtomicUsize>) -> io::Error {
    io::Error::other(WaitsInDrop(dropped.clone()))
}
