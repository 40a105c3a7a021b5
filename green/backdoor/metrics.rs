//! The figures of a program in the text format of Prometheus.

use std::fmt::Write;

use greenhub::{HubReport, Report, report};

use super::kinds::kinds;

/// What hubs and green threads do, in the text format that Prometheus reads
/// (version 0.0.4): for a program that serves its own `/metrics`.
///
/// Counters count from the program's start. The two figures about CPU time do not change while
/// there is no [`CpuAccounting`](crate::debug::CpuAccounting).
///
/// Does not wait for the hubs.
///
/// ```
/// green::run(|| ());
/// let text = green::backdoor::metrics();
/// assert!(text.contains("# TYPE green_hub_resumes_total counter\n"));
/// assert!(text.lines().any(|line| line.starts_with("green_hub_resumes_total{hub=\"0\"} ")));
/// ```
pub fn metrics() -> String {
    render(&report())
}

type Value = fn(&HubReport) -> f64;

/// Name, type, explanation and value of what there is for each hub.
const HUB: &[(&str, &str, &str, Value)] = &[
    (
        "green_hub_threads",
        "gauge",
        "Green threads placed on the hub.",
        |h| h.threads as f64,
    ),
    (
        "green_hub_ready_threads",
        "gauge",
        "Green threads of the hub that do not wait.",
        |h| h.ready as f64,
    ),
    (
        "green_hub_inbox_threads",
        "gauge",
        "Green threads woken by others that the hub has not met yet.",
        |h| h.inbox as f64,
    ),
    (
        "green_hub_descriptors",
        "gauge",
        "Descriptors that the hub watches.",
        |h| h.descriptors as f64,
    ),
    (
        "green_hub_deadlines",
        "gauge",
        "Green threads that wait with a deadline.",
        |h| h.deadlines as f64,
    ),
    (
        "green_hub_timers",
        "gauge",
        "Entries of the timer queue when the hub last polled.",
        |h| h.timers as f64,
    ),
    (
        "green_hub_idle",
        "gauge",
        "1 if the hub sleeps for lack of anything to do, else 0.",
        |h| f64::from(u8::from(h.idle)),
    ),
    (
        "green_hub_turns_total",
        "counter",
        "Turns of the hub's loop.",
        |h| h.turns as f64,
    ),
    (
        "green_hub_resumes_total",
        "counter",
        "Resumes of green threads.",
        |h| h.resumes as f64,
    ),
    (
        "green_hub_polls_total",
        "counter",
        "Calls of the hub's poller.",
        |h| h.polls as f64,
    ),
    (
        "green_hub_events_total",
        "counter",
        "Events that the poller reported.",
        |h| h.events as f64,
    ),
    (
        "green_hub_threads_begun_total",
        "counter",
        "Green threads that have begun to run on the hub.",
        |h| h.begun as f64,
    ),
    (
        "green_hub_threads_ended_total",
        "counter",
        "Green threads that have ended on the hub.",
        |h| h.ended as f64,
    ),
    (
        "green_hub_cpu_seconds_total",
        "counter",
        "CPU time of the hub's green threads, while it is counted.",
        |h| h.cpu.as_secs_f64(),
    ),
    (
        "green_hub_longest_turn_seconds",
        "gauge",
        "Longest time between two polls spent running green threads, while it is measured.",
        |h| h.longest_turn.as_secs_f64(),
    ),
];

fn render(report: &Report) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, f64)]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    family(
        "green_hubs",
        "gauge",
        "Hubs of the program.",
        &[(String::new(), report.hubs.len() as f64)],
    );
    let states: Vec<(String, f64)> = kinds(&report.threads)
        .into_iter()
        .map(|(kind, count)| (format!("{{state=\"{}\"}}", label(kind)), count as f64))
        .collect();
    let help = "Green threads by what they do or wait for.";
    family("green_threads", "gauge", help, &states);
    for (name, kind, help, value) in HUB {
        let samples: Vec<(String, f64)> = report
            .hubs
            .iter()
            .map(|hub| (format!("{{hub=\"{}\"}}", hub.hub), value(hub)))
            .collect();
        family(name, kind, help, &samples);
    }
    text
}

/// A label's value, with what the format asks to be escaped.
fn label(value: &str) -> String {
    let value = value.replace('\\', r"\\").replace('"', "\\\"");
    value.replace('\n', r"\n")
}
