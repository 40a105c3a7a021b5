//! What the program holds: descriptors, threads of both kinds, timers, memory.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use crate::storms::MILLISECOND;
use test_support::heap;
use test_support::running::memory;

/// What a thread that was let go may take to end. The blocking pool's end when they were idle for ten seconds.
const SETTLES: Duration = Duration::from_secs(60);
/// How much more may be in use than after the first leg: what allocators and TLS keep for the next time.
const GROWTH: usize = 8 << 20;
/// KiB. Freed memory stays with the allocators of many OS threads.
const RESIDENT_GROWTH: u64 = 128 << 10;

/// Green threads that stay, one a hub, once they were needed.
const FOR_GOOD: [&str; 3] = ["asyncio callbacks", "sleeps", "wakers"];

#[derive(Clone, Debug)]
pub struct Footprint {
    descriptors: usize,
    green_threads: usize,
    timers: usize,
    /// Without the blocking pool's.
    os_threads: usize,
    pool_threads: usize,
    /// Bytes that malloc has given out.
    in_use: usize,
    /// KiB of memory that the process has.
    resident: u64,
}

impl Footprint {
    fn now() -> Footprint {
        let report = green::report();
        let stays = |thread: &&green::ThreadReport| {
            let name = thread.name.as_deref().unwrap_or_default();
            FOR_GOOD.contains(&name)
        };
        let for_good: Vec<_> = report.threads.iter().filter(stays).collect();
        // One that keeps what others wait for looks when the next was due, also if nobody waits for it any more.
        let looks = for_good.iter().filter(|thread| thread.time_left.is_some());
        let timers: usize = report.hubs.iter().map(|hub| hub.timers).sum();
        let mut pool_threads = 0;
        let mut os_threads = 0;
        for task in fs::read_dir("/proc/self/task").unwrap() {
            // One that has ended in between has no name any more.
            let name = fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default();
            match name.starts_with("green-blocking") {
                true => pool_threads += 1,
                false => os_threads += 1,
            }
        }
        Footprint {
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            green_threads: report.threads.len() - for_good.len(),
            timers: timers.saturating_sub(looks.count()),
            os_threads,
            pool_threads,
            in_use: heap::in_use(),
            resident: memory(std::process::id()),
        }
    }

    /// Waits until it holds, and says what is left otherwise.
    fn until(what: &str, holds: impl Fn(&Footprint) -> bool) -> Footprint {
        let began = Instant::now();
        loop {
            let now = Footprint::now();
            if holds(&now) {
                return now;
            }
            assert!(
                began.elapsed() < SETTLES,
                "{what}: {now:?}\n{}",
                green::report()
            );
            std::thread::sleep(10 * MILLISECOND);
        }
    }

    /// As it is when no green thread is left and nothing changes any more.
    pub fn settled() -> Footprint {
        Footprint::until("left over after the first leg", |now| {
            std::thread::sleep(100 * MILLISECOND);
            let later = Footprint::now();
            now.is_idle() && later.is_idle() && later.has_no_more_than(now)
        })
    }

    fn is_idle(&self) -> bool {
        self.green_threads == 0 && self.timers == 0
    }

    fn has_no_more_than(&self, other: &Footprint) -> bool {
        self.descriptors <= other.descriptors
            && self.os_threads <= other.os_threads
            && self.in_use <= other.in_use + GROWTH
            && self.resident <= other.resident + RESIDENT_GROWTH
    }

    /// Waits until no more is held than here.
    pub fn is_back(&self) -> Footprint {
        Footprint::until(&format!("more than {self:?}"), |now| {
            now.is_idle() && now.has_no_more_than(self)
        })
    }

    /// Waits until no more is held than here, without what was watched, and, if that is worth ten seconds, the blocking
    /// pool has ended.
    pub fn is_over(&self, and_pool: bool) {
        Footprint::until(&format!("not back to {self:?}"), |now| {
            now.is_idle()
                && now.has_no_more_than(self)
                && now.descriptors < self.descriptors
                && now.os_threads < self.os_threads
                && (now.pool_threads == 0 || !and_pool)
        });
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} descriptors, {} OS threads and {} of the pool, {} KiB in use, {} KiB resident",
            self.descriptors,
            self.os_threads,
            self.pool_threads,
            self.in_use >> 10,
            self.resident
        )
    }
}
