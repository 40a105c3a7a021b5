//! What a small page over HTTP/1.1 costs the server, on connections that stay
//! open, beside hyper on tokio.

use std::io;

use super::echo;
use super::echo_instructions;
use crate::process::Talk;
use crate::scenario::{
    Bound, Cores, Measurement, ONE_HUB, Run, Scenario, TWO_HUBS, Target, Variant,
    nothing_to_prepare,
};

pub const HYPER: Variant = Variant::rival("hyper 1 thread", "http-hyper", &[]);
pub const THREADS: Variant = Variant::rival("OS threads", "http-threads", &[]);
pub const GREEN: Variant = Variant::green("green 1 hub", "http", &[], ONE_HUB);
pub const SERVER: Variant = Variant::green("green::http 1 hub", "http-server", &[], ONE_HUB);

pub const COST: Scenario = Scenario {
    name: "http-cost",
    about: "Server CPU for one small page over HTTP/1.1, keep-alive, closed loop, \
            server and generator on a core each",
    case_unit: "connections",
    cases: |options| echo::connections(options, &[64, 1000]),
    variants: &[
        HYPER,
        GREEN,
        SERVER,
        Variant::green("green 2 hubs", "http", &[], TWO_HUBS),
        THREADS,
    ],
    metrics: echo::SCENARIO.metrics,
    targets: &[to(64), to(1000)],
    prepare: nothing_to_prepare,
    start,
};

pub const INSTRUCTIONS: Scenario = Scenario {
    name: "http-instructions",
    about: "Instructions of the server outside the kernel for one small page over HTTP/1.1, \
            counted by callgrind",
    case_unit: "connections",
    cases: |options| echo::connections(options, &[64]),
    variants: &[HYPER, GREEN, SERVER, THREADS],
    metrics: echo_instructions::SCENARIO.metrics,
    targets: &[],
    prepare: nothing_to_prepare,
    start: |run| echo_instructions::start(run, Talk::Http),
};

const fn to(case: usize) -> Target {
    Target {
        variant: GREEN.name,
        rival: Some(HYPER.name),
        metric: "CPU",
        case,
        bound: Bound::AtMost(0.95),
    }
}

fn start<'a>(run: &Run<'a>) -> io::Result<Measurement<'a>> {
    let bench = run.bench;
    let mut server = bench.start(run.variant, Cores::Pinned)?;
    let address = server.listening()?;
    let load = bench.load_talking(Talk::Http, address, run.case, Cores::Pinned)?;
    Ok(echo::measure(bench, server, load))
}
