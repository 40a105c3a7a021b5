//! What an echo request over TLS costs the server.

use std::io;

use super::echo;
use crate::process::Talk;
use crate::scenario::{
    Bound, Cores, Measurement, ONE_HUB, Run, Scenario, Target, Variant, nothing_to_prepare,
};

pub const TOKIO: Variant = Variant::rival("tokio-native-tls 1 thread", "tls-echo-tokio", &[]);
pub const THREADS: Variant = Variant::rival("native-tls OS threads", "tls-echo-threads", &[]);
pub const GREEN: Variant = Variant::green("green 1 hub", "tls-echo", &[], ONE_HUB);

pub const SCENARIO: Scenario = Scenario {
    name: "tls-echo",
    about: "Server CPU for one 64-byte echo request over TLS 1.2 (ECDHE-ECDSA-AES256-GCM-SHA384), \
            closed loop, server and generator on a core each",
    case_unit: "connections",
    cases: |options| echo::connections(options, &[1, 64, 500]),
    variants: &[TOKIO, GREEN, THREADS],
    metrics: echo::SCENARIO.metrics,
    targets: &[
        to(TOKIO, 1, 1.05),
        to(THREADS, 1, 1.10),
        to(TOKIO, 64, 0.95),
        to(THREADS, 64, 0.80),
        to(TOKIO, 500, 0.95),
        to(THREADS, 500, 0.70),
    ],
    prepare: nothing_to_prepare,
    start,
};

const fn to(rival: Variant, case: usize, at_most: f64) -> Target {
    Target {
        variant: GREEN.name,
        rival: Some(rival.name),
        metric: "CPU",
        case,
        bound: Bound::AtMost(at_most),
    }
}

fn start<'a>(run: &Run<'a>) -> io::Result<Measurement<'a>> {
    let bench = run.bench;
    let mut server = bench.start(run.variant, Cores::Pinned)?;
    let address = server.listening()?;
    let load = bench.load_talking(Talk::Tls, address, run.case, Cores::Pinned)?;
    Ok(echo::measure(bench, server, load))
}
