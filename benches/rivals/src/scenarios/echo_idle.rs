//! What a connection costs that does nothing: memory and wake-ups.

use std::io;
use std::thread;
use std::time::Duration;

use super::echo;
use crate::process::Talk;
use crate::scenario::{
    Better, Bound, Cores, Measurement, Metric, Run, Scenario, Target, nothing_to_prepare,
};

/// How long wake-ups are counted.
const IDLE: Duration = Duration::from_secs(3);

pub const SCENARIO: Scenario = Scenario {
    name: "echo-idle",
    about: "Resident memory that each connection adds to the server once it has served one request, \
            and how often the idle server wakes; 1 KiB read buffers",
    case_unit: "connections",
    cases: |options| echo::connections(options, &[4000]),
    variants: &[
        echo::RAW,
        echo::GREEN,
        echo::GREEN_GUARDED,
        echo::TOKIO,
        echo::MAY,
        echo::THREADS,
    ],
    metrics: &[
        Metric {
            name: "resident",
            unit: "KiB/connection",
            better: Better::Less,
            compared: false,
        },
        Metric {
            name: "wake-ups",
            unit: "a second",
            better: Better::Less,
            compared: false,
        },
    ],
    targets: &[
        to(echo::GREEN.name, "resident", 5.0),
        to(echo::GREEN.name, "wake-ups", 0.0),
        to(echo::GREEN_GUARDED.name, "wake-ups", 0.0),
    ],
    prepare: nothing_to_prepare,
    start: |run| start(run, Talk::Tcp),
};

const fn to(variant: &'static str, metric: &'static str, at_most: f64) -> Target {
    Target {
        variant,
        rival: None,
        metric,
        case: 4000,
        bound: Bound::AtMost(at_most),
    }
}

/// Measures with connections that carry `talk`.
pub fn start<'a>(run: &Run<'a>, talk: Talk) -> io::Result<Measurement<'a>> {
    let Run {
        bench,
        variant,
        case,
        ..
    } = *run;
    // A process keeps the memory that it once had, so each round starts a
    // fresh one.
    Ok(Box::new(move || {
        let mut server = bench.start(variant, Cores::Pinned)?;
        let address = server.listening()?;
        // The first connection starts whatever starts lazily: hubs, pools.
        let _first = bench.load_talking(talk, address, 1, Cores::Pinned)?;
        let empty = program::resident_bytes(server.pid())?;
        let _load = bench.load_talking(talk, address, case, Cores::Pinned)?;
        let full = program::resident_bytes(server.pid())?;
        let before = server.usage()?;
        thread::sleep(IDLE);
        let used = server.usage()? - before;
        Ok(vec![
            (full - empty) / 1024.0 / case as f64,
            used.switches / IDLE.as_secs_f64(),
        ])
    }))
}
