//! What the kernel says: how much this machine allows, and what we have used.

use std::fs;
use std::time::Duration;

/// What a process keeps open beside the connections of a crowd.
const DESCRIPTORS_SPARE: u64 = 500;
/// Mappings per green thread where the kernel knows no guard marks: its stack and the guard below
/// it; and what the process has besides.
const MAPPINGS_EACH: u64 = 2;
const MAPPINGS_SPARE: u64 = 2_000;
/// Stack, buffers and the kernel's part of a connection, both ends, rounded up.
const BYTES_EACH: u64 = 64 * 1024;

/// How many connections, with both ends and a green thread at each, fit into this process; and
/// what keeps it from more, where something does.
pub fn connections_that_fit(wanted: usize) -> (usize, Option<String>) {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let mappings = if knows_guard_marks() {
        u64::MAX
    } else {
        number_in("/proc/sys/vm/max_map_count").unwrap_or(65_530)
    };
    let memory = available_bytes().unwrap_or(u64::MAX);
    let limits = [
        (
            descriptors.saturating_sub(DESCRIPTORS_SPARE) / 2,
            format!("the limit of {descriptors} open files (ulimit -Hn)"),
        ),
        (
            mappings.saturating_sub(MAPPINGS_SPARE) / MAPPINGS_EACH / 2,
            format!("vm.max_map_count = {mappings}"),
        ),
        (
            memory / 2 / BYTES_EACH,
            format!("{} MB of free memory", memory / 1_000_000),
        ),
    ];
    let (fit, reason) = limits.into_iter().min().expect("there are three limits");
    match fit as usize {
        fit if fit >= wanted => (wanted, None),
        fit => (fit.max(10), Some(reason)),
    }
}

/// Whether a crowd of stacks takes but a few mappings: since Linux 6.13.
fn knows_guard_marks() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse::<u32>().ok();
    (number(), number()) >= (Some(6), Some(13))
}

/// What all threads but the main one have used since they began.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub cpu: Duration,
    pub wake_ups: u64,
}

impl Usage {
    /// The main thread is left out: it redraws the screen.
    pub fn so_far() -> Usage {
        let mut usage = Usage {
            cpu: Duration::ZERO,
            wake_ups: 0,
        };
        let main = std::process::id().to_string();
        let threads = fs::read_dir("/proc/self/task")
            .into_iter()
            .flatten()
            .flatten();
        for thread in threads.filter(|thread| thread.file_name() != main.as_str()) {
            let schedstat = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            let nanoseconds = schedstat
                .split(' ')
                .next()
                .and_then(|word| word.parse().ok());
            usage.cpu += Duration::from_nanos(nanoseconds.unwrap_or(0));
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            usage.wake_ups += field(&status, "voluntary_ctxt_switches:").unwrap_or(0);
        }
        usage
    }

    pub fn since(self, earlier: Usage) -> Usage {
        Usage {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            wake_ups: self.wake_ups.saturating_sub(earlier.wake_ups),
        }
    }
}

/// Memory of this process that is really there.
pub fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    field(&status, "VmRSS:").unwrap_or(0) * 1024
}

/// Descriptors that this process has open.
pub fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Memory that could still be taken without swapping.
pub fn available_bytes() -> Option<u64> {
    field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:").map(|kib| kib * 1024)
}

fn number_in(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number behind `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
