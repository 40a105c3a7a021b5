//! What a whole TLS connection costs the server, from `accept` to the close:
//! nearly all of it is the full handshake.

use std::io;

use super::{echo, tls_echo};
use crate::process::Talk;
use crate::scenario::{
    Better, Bound, Cores, Measurement, Metric, Run, Scenario, Target, Variant, nothing_to_prepare,
};

const AT_ONCE: usize = 8;

pub const SCENARIO: Scenario = Scenario {
    name: "tls-handshake",
    about: "Full TLS 1.2 handshakes (ECDHE and ECDSA over P-256) for a second of the server's CPU, \
            each with accept, one echo of 64 bytes and the close",
    case_unit: "at once",
    cases: |options| echo::connections(options, &[AT_ONCE]),
    variants: &[tls_echo::TOKIO, tls_echo::GREEN, tls_echo::THREADS],
    metrics: &[Metric {
        name: "handshakes",
        unit: "a CPU second",
        better: Better::More,
        compared: true,
    }],
    targets: &[to(tls_echo::TOKIO, 1.0), to(tls_echo::THREADS, 1.15)],
    prepare: nothing_to_prepare,
    start,
};

const fn to(rival: Variant, at_least: f64) -> Target {
    Target {
        variant: tls_echo::GREEN.name,
        rival: Some(rival.name),
        metric: "handshakes",
        case: AT_ONCE,
        bound: Bound::AtLeast(at_least),
    }
}

fn start<'a>(run: &Run<'a>) -> io::Result<Measurement<'a>> {
    let bench = run.bench;
    let mut server = bench.start(run.variant, Cores::Pinned)?;
    let address = server.listening()?;
    let mut load = bench.load_talking(Talk::Visits, address, run.case, Cores::Pinned)?;
    Ok(Box::new(move || {
        load.closed(echo::WARM_UP)?;
        let before = server.usage()?;
        let answer = load.closed(bench.options.time)?;
        let used = server.usage()? - before;
        Ok(vec![answer["requests"] / (used.cpu_ns / 1e9)])
    }))
}
