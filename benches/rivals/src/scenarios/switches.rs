//! Nanoseconds of one `yield_now`, spawn and join, channel hand-over, and lock
//! that others wait for, all on one core. The programs measure themselves.

use std::io;

use crate::scenario::{
    Better, Bound, Cores, Measurement, Metric, ONE_HUB, Run, Scenario, Target, Variant,
    nothing_to_prepare,
};

pub const YIELD_NOW: Scenario = Scenario {
    name: "switch-yield",
    about: "Two threads of one core giving way to each other: time of one yield_now",
    case_unit: "threads",
    cases: |_| vec![2],
    variants: &[
        tokio("yield-tokio"),
        green("yield"),
        may("yield-may"),
        Variant::rival(THREADS, "yield-threads", &[]),
    ],
    targets: &[to(2, 0.1)],
    ..SPAWN_JOIN
};

pub const SPAWN_JOIN: Scenario = Scenario {
    name: "switch-spawn",
    about: "Starting a thread and waiting for its end, on one core",
    case_unit: "threads",
    cases: |_| vec![1],
    variants: &[
        tokio("spawn-tokio"),
        green("spawn"),
        may("spawn-may"),
        Variant::rival(THREADS, "spawn-threads", &[]),
    ],
    metrics: &[Metric {
        name: "time",
        unit: "ns",
        better: Better::Less,
        compared: true,
    }],
    targets: &[to(1, 1.0)],
    prepare: nothing_to_prepare,
    start,
};

pub const CHANNEL: Scenario = Scenario {
    name: "switch-channel",
    about: "A value going to and fro between two threads of one core: time of one way",
    case_unit: "threads",
    cases: |_| vec![2],
    variants: &[
        tokio("channel-tokio"),
        green("channel"),
        may("channel-may"),
        Variant::rival(THREADS, "channel-threads", &[]),
    ],
    targets: &[to(2, 0.75)],
    ..SPAWN_JOIN
};

pub const MUTEX: Scenario = Scenario {
    name: "switch-mutex",
    about: "Four threads of one core and one lock, held across a yield_now: time of one turn",
    case_unit: "threads",
    cases: |_| vec![4],
    variants: &[
        tokio("mutex-tokio"),
        green("mutex"),
        may("mutex-may"),
        Variant::rival(THREADS, "mutex-threads", &[]),
    ],
    targets: &[to(4, 0.3)],
    ..SPAWN_JOIN
};

const TOKIO: &str = "tokio 1 thread";
const GREEN: &str = "green 1 hub";
const THREADS: &str = "OS threads";

const fn tokio(workload: &'static str) -> Variant {
    Variant::rival(TOKIO, workload, &[])
}

const fn may(workload: &'static str) -> Variant {
    Variant::rival("may 1 worker", workload, &[])
}

const fn green(workload: &'static str) -> Variant {
    Variant::green(GREEN, workload, &[], ONE_HUB)
}

const fn to(case: usize, at_most: f64) -> Target {
    let bound = Bound::AtMost(at_most);
    Target {
        variant: GREEN,
        rival: Some(TOKIO),
        metric: "time",
        case,
        bound,
    }
}

fn start<'a>(run: &Run<'a>) -> io::Result<Measurement<'a>> {
    let Run { bench, variant, .. } = *run;
    Ok(Box::new(move || {
        let results = bench.start(variant, Cores::Pinned)?.results()?;
        results
            .get("time")
            .map(|&time| vec![time])
            .ok_or_else(|| io::Error::other("no time"))
    }))
}
