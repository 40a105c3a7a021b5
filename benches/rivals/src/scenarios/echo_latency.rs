//! Latency at half of what tokio can serve, requests leaving at fixed instants.

use std::io;
use std::time::Duration;

use super::echo;
use crate::scenario::{Bench, Better, Bound, Cores, Measurement, Metric, Run, Scenario, Target};

pub const SCENARIO: Scenario = Scenario {
    name: "echo-latency",
    about: "Latency of 64-byte echo requests at a fixed rate, half of tokio's closed-loop throughput, \
            counted from when each was due; server and generator on a core each",
    case_unit: "connections",
    cases: |options| echo::connections(options, &[64, 1000]),
    variants: &[
        echo::TOKIO,
        echo::GREEN,
        echo::GREEN_GUARDED,
        echo::RAW,
        echo::MAY,
        echo::THREADS,
    ],
    metrics: &[
        Metric {
            name: "p99.9",
            unit: "µs",
            better: Better::Less,
            compared: true,
        },
        Metric {
            name: "p99",
            unit: "µs",
            better: Better::Less,
            compared: true,
        },
        Metric {
            name: "p50",
            unit: "µs",
            better: Better::Less,
            compared: true,
        },
        Metric {
            name: "rate",
            unit: "requests/s",
            better: Better::More,
            compared: false,
        },
    ],
    targets: &[to(64), to(1000)],
    prepare: half_of_tokio,
    start,
};

const fn to(case: usize) -> Target {
    let (variant, rival) = (echo::GREEN.name, Some(echo::TOKIO.name));
    Target {
        variant,
        rival,
        metric: "p99.9",
        case,
        bound: Bound::AtMost(1.0),
    }
}

fn half_of_tokio(bench: &Bench, connections: usize) -> io::Result<f64> {
    let mut server = bench.start(&echo::TOKIO, Cores::Pinned)?;
    let mut load = bench.load(server.listening()?, connections, Cores::Pinned)?;
    load.closed(echo::WARM_UP)?;
    let answer = load.closed(Duration::from_secs(2))?;
    Ok(answer["requests"] / answer["seconds"] / 2.0)
}

fn start<'a>(run: &Run<'a>) -> io::Result<Measurement<'a>> {
    let (bench, rate) = (run.bench, run.prepared);
    let mut server = bench.start(run.variant, Cores::Pinned)?;
    let mut load = bench.load(server.listening()?, run.case, Cores::Pinned)?;
    Ok(Box::new(move || {
        // The server belongs to the measurement and must live as long.
        let _server = &server;
        load.open(rate, echo::WARM_UP)?;
        let answer = load.open(rate, bench.options.time)?;
        Ok(vec![answer["p99.9"], answer["p99"], answer["p50"], rate])
    }))
}
