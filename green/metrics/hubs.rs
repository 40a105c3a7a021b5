//! Figures of hubs and green threads.

use std::collections::BTreeMap;

use greenhub::{HubReport, Report, Site, State, ThreadReport};

use super::{Figure, Kind, Metrics};

/// What hubs and green threads do. Counters count from the program's start; the two figures about CPU time do not change
/// while there is no [`CpuAccounting`](crate::debug::CpuAccounting).
impl Metrics for Report {
    fn tell(&self, to: &mut dyn FnMut(Figure<'_>)) {
        let hubs = self.hubs.len() as f64;
        to(Figure::gauge("green_hubs", "Hubs of the program.", hubs));
        for (state, count) in kinds(&self.threads) {
            let help = "Green threads by what they do or wait for.";
            let figure = Figure::gauge("green_threads", help, count as f64);
            to(figure.labelled("state", state));
        }
        for hub in &self.hubs {
            let number = hub.hub.to_string();
            for &(name, kind, help, value) in HUB {
                to(Figure {
                    name,
                    help,
                    kind,
                    label: Some(("hub", &number)),
                    value: value(hub),
                });
            }
        }
    }
}

type Value = fn(&HubReport) -> f64;

/// Name, type, explanation and value of what there is for each hub.
const HUB: &[(&str, Kind, &str, Value)] = &[
    (
        "green_hub_threads",
        Kind::Gauge,
        "Green threads placed on the hub.",
        |h| h.threads as f64,
    ),
    (
        "green_hub_ready_threads",
        Kind::Gauge,
        "Green threads of the hub that do not wait.",
        |h| h.ready as f64,
    ),
    (
        "green_hub_inbox_threads",
        Kind::Gauge,
        "Green threads woken by others that the hub has not met yet.",
        |h| h.inbox as f64,
    ),
    (
        "green_hub_descriptors",
        Kind::Gauge,
        "Descriptors that the hub watches.",
        |h| h.descriptors as f64,
    ),
    (
        "green_hub_deadlines",
        Kind::Gauge,
        "Green threads that wait with a deadline.",
        |h| h.deadlines as f64,
    ),
    (
        "green_hub_timers",
        Kind::Gauge,
        "Entries of the timer queue when the hub last polled.",
        |h| h.timers as f64,
    ),
    (
        "green_hub_idle",
        Kind::Gauge,
        "1 if the hub sleeps for lack of anything to do, else 0.",
        |h| f64::from(u8::from(h.idle)),
    ),
    (
        "green_hub_turns_total",
        Kind::Counter,
        "Turns of the hub's loop.",
        |h| h.turns as f64,
    ),
    (
        "green_hub_resumes_total",
        Kind::Counter,
        "Resumes of green threads.",
        |h| h.resumes as f64,
    ),
    (
        "green_hub_polls_total",
        Kind::Counter,
        "Calls of the hub's poller.",
        |h| h.polls as f64,
    ),
    (
        "green_hub_events_total",
        Kind::Counter,
        "Events that the poller reported.",
        |h| h.events as f64,
    ),
    (
        "green_hub_threads_begun_total",
        Kind::Counter,
        "Green threads that have begun to run on the hub.",
        |h| h.begun as f64,
    ),
    (
        "green_hub_threads_ended_total",
        Kind::Counter,
        "Green threads that have ended on the hub.",
        |h| h.ended as f64,
    ),
    (
        "green_hub_cpu_seconds_total",
        Kind::Counter,
        "CPU time of the hub's green threads, while it is counted.",
        |h| h.cpu.as_secs_f64(),
    ),
    (
        "green_hub_longest_turn_seconds",
        Kind::Gauge,
        "Longest time between two polls spent running green threads, while it is measured.",
        |h| h.longest_turn.as_secs_f64(),
    ),
];

/// In one word, for counting.
pub(crate) fn kind(state: State) -> &'static str {
    match state {
        State::New => "new",
        State::Running => "running",
        State::Ready => "ready",
        State::Waiting(Site::Readable(_)) => "readable",
        State::Waiting(Site::Writable(_)) => "writable",
        State::Waiting(Site::Sleep) => "sleep",
        State::Waiting(Site::Park) => "park",
        State::Waiting(Site::Join(_)) => "join",
        State::Waiting(Site::Queue(name)) => name,
        _ => "other",
    }
}

/// How many green threads are in each state.
pub(crate) fn kinds(threads: &[ThreadReport]) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for thread in threads {
        *kinds.entry(kind(thread.state)).or_default() += 1;
    }
    kinds
}
