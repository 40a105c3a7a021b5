//! What many threads cost that wait: memory, and the time to start them, to
//! wake and join them, and to start and join as many again one by one. The
//! programs measure themselves, each on one core.

use std::io;

use super::echo;
use crate::scenario::{
    Better, Cores, Measurement, Metric, ONE_PROC, Run, Scenario, Variant, nothing_to_prepare,
};

pub const SCENARIO: Scenario = Scenario {
    name: "crowd",
    about: "Threads that are all started, park, are all woken and joined, then as many started and \
            joined one by one: resident memory and time of each, on one core",
    case_unit: "threads",
    cases: |options| echo::connections(options, &[1_000, 10_000, 100_000, 1_000_000]),
    variants: &[
        Variant::rival("tokio 1 thread", "crowd-tokio", &[]),
        Variant::green(
            "green, thread-locals shared",
            "crowd",
            &[],
            &[("GREEN_HUBS", "1"), ("GREEN_THREAD_LOCALS", "shared")],
        ),
        Variant::green(
            "green, thread-locals own",
            "crowd",
            &[],
            &[("GREEN_HUBS", "1"), ("GREEN_THREAD_LOCALS", "own")],
        ),
        Variant::rival("may 1 worker", "crowd-may", &[]),
        Variant::go("Go 1 core", "crowd-go", ONE_PROC),
    ],
    metrics: &[
        Metric {
            name: "resident",
            unit: "KiB/thread",
            better: Better::Less,
            compared: true,
        },
        time("start"),
        time("wake"),
        time("again"),
    ],
    targets: &[],
    prepare: nothing_to_prepare,
    start,
};

/// `start`: until all have run. `wake`: until all are joined. `again`: to start
/// and join one by one.
const fn time(name: &'static str) -> Metric {
    Metric {
        name,
        unit: "µs/thread",
        better: Better::Less,
        compared: true,
    }
}

fn start<'a>(run: &Run<'a>) -> io::Result<Measurement<'a>> {
    let Run {
        bench,
        variant,
        case,
        ..
    } = *run;
    Ok(Box::new(move || {
        let mut program = bench.start_crowd(variant, case, Cores::Pinned)?;
        let results = program.results()?;
        let figure = |metric: &Metric| {
            results
                .get(metric.name)
                .copied()
                .ok_or_else(|| io::Error::other(format!("no {}", metric.name)))
        };
        SCENARIO.metrics.iter().map(figure).collect()
    }))
}
