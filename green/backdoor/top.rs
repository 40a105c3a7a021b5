//! Who uses the CPU: two reports, some time apart.

use std::collections::HashMap;
use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

use greenhub::debug::CpuAccounting;
use greenhub::{Report, report};

/// Lines of the answer.
const LINES: usize = 20;

/// Watches for `time`, on the calling OS thread.
pub(super) fn top(time: Duration) -> String {
    let counting = CpuAccounting::start();
    let (began, before) = (Instant::now(), report());
    thread::sleep(time);
    let (after, took) = (report(), began.elapsed());
    drop(counting);
    table(&before, &after, took)
}

fn table(before: &Report, after: &Report, took: Duration) -> String {
    let earlier: HashMap<_, _> = before.threads.iter().map(|t| (t.id, t.cpu)).collect();
    let mut used: Vec<_> = after
        .threads
        .iter()
        .map(|thread| {
            let earlier = earlier.get(&thread.id).copied().unwrap_or_default();
            (thread.cpu.saturating_sub(earlier), thread)
        })
        .filter(|(cpu, _)| !cpu.is_zero())
        .collect();
    used.sort_by_key(|(cpu, thread)| (std::cmp::Reverse(*cpu), thread.id.as_u64()));

    let share = |cpu: Duration| 100.0 * cpu.as_secs_f64() / took.as_secs_f64();
    let mut text = String::new();
    for (hub, earlier) in after.hubs.iter().zip(&before.hubs) {
        let (cpu, resumes) = (hub.cpu - earlier.cpu, hub.resumes - earlier.resumes);
        let _ = writeln!(
            text,
            "hub {}: {:.1} % CPU, {:.0} resumes a second, longest turn so far {:.1?}{}",
            hub.hub,
            share(cpu),
            resumes as f64 / took.as_secs_f64(),
            hub.longest_turn,
            match hub.turns == earlier.turns && !hub.idle {
                true => "; held up all the while",
                false => "",
            }
        );
    }
    let _ = writeln!(text, "  % CPU  green thread");
    for (cpu, thread) in used.iter().take(LINES) {
        let _ = writeln!(text, "{:>7.2}  {thread}", share(*cpu));
    }
    let _ = match used.len().checked_sub(LINES) {
        Some(more @ 1..) => writeln!(text, "and {more} that used less"),
        _ => Ok(()),
    };
    text
}
