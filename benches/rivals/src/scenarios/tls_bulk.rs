//! What it costs the server to take and to send bulk over TLS.

use std::io;

use super::{echo, tls_echo};
use crate::process::Talk;
use crate::scenario::{
    Better, Bound, Cores, Measurement, Metric, ONE_HUB, Run, Scenario, Target, Variant,
    nothing_to_prepare,
};

/// Bytes of one request.
const BULK: usize = 1 << 20;

const CONNECTIONS: usize = 8;

const TOKIO: Variant = Variant {
    workload: "tls-bulk-tokio",
    ..tls_echo::TOKIO
};
const THREADS: Variant = Variant {
    workload: "tls-bulk-threads",
    ..tls_echo::THREADS
};
const GREEN: Variant = Variant::green("green 1 hub", "tls-bulk", &[], ONE_HUB);

pub const UP: Scenario = Scenario {
    name: "tls-up",
    about: "Bytes that the server takes for a second of its CPU, TLS 1.2 with AES-256-GCM, \
            written by the peer 16 KiB at a time",
    targets: &[to(TOKIO, 1.15), to(THREADS, 1.0)],
    start: |run| start(run, BULK, 0),
    ..DOWN
};

pub const DOWN: Scenario = Scenario {
    name: "tls-down",
    about: "Bytes that the server sends for a second of its CPU, TLS 1.2 with AES-256-GCM, \
            16 KiB writes",
    case_unit: "connections",
    cases: |options| echo::connections(options, &[CONNECTIONS]),
    variants: &[TOKIO, GREEN, THREADS],
    metrics: &[Metric {
        name: "bytes",
        unit: "MB/CPU s",
        better: Better::More,
        compared: true,
    }],
    targets: &[to(TOKIO, 1.0), to(THREADS, 1.0)],
    prepare: nothing_to_prepare,
    start: |run| start(run, 0, BULK),
};

const fn to(rival: Variant, at_least: f64) -> Target {
    Target {
        variant: GREEN.name,
        rival: Some(rival.name),
        metric: "bytes",
        case: CONNECTIONS,
        bound: Bound::AtLeast(at_least),
    }
}

fn start<'a>(run: &Run<'a>, up: usize, down: usize) -> io::Result<Measurement<'a>> {
    let bench = run.bench;
    let mut server = bench.start(run.variant, Cores::Pinned)?;
    let address = server.listening()?;
    let mut load = bench.load_talking(Talk::Bulk, address, run.case, Cores::Pinned)?;
    Ok(Box::new(move || {
        load.bulk(up, down, echo::WARM_UP)?;
        let before = server.usage()?;
        let answer = load.bulk(up, down, bench.options.time)?;
        let used = server.usage()? - before;
        let megabytes = answer["requests"] * (up + down) as f64 / 1e6;
        Ok(vec![megabytes / (used.cpu_ns / 1e9)])
    }))
}
