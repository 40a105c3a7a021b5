//! Instructions that the server executes outside the kernel for one request.

use std::io;

use super::echo;
use crate::callgrind::Counted;
use crate::process::Talk;
use crate::scenario::{
    Better, Bound, Cores, Measurement, Metric, Run, Scenario, Target, nothing_to_prepare,
};

pub const SCENARIO: Scenario = Scenario {
    name: "echo-instructions",
    about: "Instructions of the server outside the kernel for one 64-byte echo request, \
            counted by callgrind",
    case_unit: "connections",
    cases: |options| echo::connections(options, &[64]),
    variants: &[
        echo::RAW,
        echo::GREEN,
        echo::GREEN_GUARDED,
        echo::TOKIO,
        echo::MAY,
        echo::THREADS,
    ],
    metrics: &[Metric {
        name: "instructions",
        unit: "a request",
        better: Better::Less,
        compared: true,
    }],
    targets: &[Target {
        variant: echo::GREEN.name,
        rival: None,
        metric: "instructions",
        case: 64,
        bound: Bound::AtMost(1000.0),
    }],
    prepare: nothing_to_prepare,
    start: |run| start(run, Talk::Tcp),
};

/// Counts what a request of `talk` takes.
pub fn start<'a>(run: &Run<'a>, talk: Talk) -> io::Result<Measurement<'a>> {
    let Run { bench, case, .. } = *run;
    let mut server = Counted::start(run)?;
    let mut load = bench.load_talking(talk, server.program.listening()?, case, Cores::Shared)?;
    let requests = 100 * case.max(10) as u64;
    Ok(Box::new(move || {
        load.count(requests)?;
        let (instructions, answer) = server.count(|| load.count(requests))?;
        Ok(vec![instructions / answer["requests"]])
    }))
}
