//! Throughput when server and generator share both cores as the kernel likes.

use std::io;

use super::echo;
use crate::scenario::{
    Better, Bound, Cores, Measurement, Metric, Run, Scenario, Target, nothing_to_prepare,
};

pub const SCENARIO: Scenario = Scenario {
    name: "echo-unpinned",
    about: "64-byte echo requests a second, closed loop, nothing pinned, two threads in the server",
    case_unit: "connections",
    cases: |options| echo::connections(options, &[64, 1000]),
    variants: &[
        echo::TOKIO_TWO,
        echo::GREEN_TWO,
        echo::MAY_TWO,
        echo::GO_TWO,
        echo::THREADS,
    ],
    metrics: &[
        Metric {
            name: "throughput",
            unit: "requests/s",
            better: Better::More,
            compared: true,
        },
        Metric {
            name: "CPU",
            unit: "µs/request",
            better: Better::Less,
            compared: true,
        },
    ],
    targets: &[
        to("tokio 2 workers", 64, 1.1),
        to("may 2 workers", 64, 1.1),
        to("tokio 2 workers", 1000, 1.1),
        to("may 2 workers", 1000, 1.1),
    ],
    prepare: nothing_to_prepare,
    start,
};

const fn to(rival: &'static str, case: usize, at_least: f64) -> Target {
    let bound = Bound::AtLeast(at_least);
    Target {
        variant: "green 2 hubs",
        rival: Some(rival),
        metric: "throughput",
        case,
        bound,
    }
}

fn start<'a>(run: &Run<'a>) -> io::Result<Measurement<'a>> {
    let bench = run.bench;
    let mut server = bench.start(run.variant, Cores::Shared)?;
    let mut load = bench.load(server.listening()?, run.case, Cores::Shared)?;
    Ok(Box::new(move || {
        load.closed(echo::WARM_UP)?;
        let before = server.usage()?;
        let answer = load.closed(bench.options.time)?;
        let used = server.usage()? - before;
        let requests = answer["requests"];
        Ok(vec![
            requests / answer["seconds"],
            used.cpu_ns / 1e3 / requests,
        ])
    }))
}
