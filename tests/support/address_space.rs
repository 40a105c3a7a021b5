//! A process that runs out of address space, and so of stacks. `SPARE_MEMORY` of [`child`](crate::child) is for its allocator.

use std::time::Duration;

use greenhub::green_thread::{Builder, JoinHandle, park};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many bytes the process has taken.
pub fn taken() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    pages * 4096
}

fn limit(bytes: Option<u64>) {
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    setrlimit(Resource::As, limit).unwrap();
}

/// Leaves the process so many bytes. glibc's allocator may take 128 MiB of them for each hub.
pub fn leave(bytes: u64) {
    limit(Some(taken() + bytes));
}

/// Ends the limit of [`leave`].
pub fn leave_all() {
    limit(None);
}

/// The limit, and how many bytes are left of it.
pub fn limit_and_left() -> (u64, u64) {
    let limit = getrlimit(Resource::As).current.expect("a limit");
    (limit, limit - taken())
}

/// Leaves the process 200 MiB, and parks green threads until there is no stack for another.
pub fn take_all_stacks() -> Vec<JoinHandle<()>> {
    leave(200 << 20);
    let mut parked = Vec::new();
    let mut failed = 0;
    // A hub may keep the stack of who has just ended for a moment.
    while failed < 10 {
        match Builder::new().spawn(park) {
            Ok(thread) => parked.push(thread),
            Err(_) => {
                failed += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
    parked
}

/// Ends some of [`take_all_stacks`].
pub fn give_back(parked: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in parked {
        thread.thread().unpark();
        thread.join().unwrap();
    }
}
