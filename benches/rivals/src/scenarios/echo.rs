//! What an echo request costs the server: processor time of all its threads,
//! user and system, with the server on one core and the generator on the other.

use std::io;
use std::time::Duration;

use crate::options::Options;
use crate::process::{Load, Running};
use crate::scenario::{
    Bench, Better, Bound, Cores, Measurement, Metric, ONE_HUB, ONE_PROC, Run, Scenario, TWO_HUBS,
    TWO_PROCS, Target, Variant, nothing_to_prepare,
};

pub const RAW: Variant = Variant::rival("raw epoll", "echo-raw", &[]);
/// The loop in a process that has a second thread, which sleeps: every runtime
/// with threads starts from here.
pub const RAW_BESIDE: Variant =
    Variant::rival("raw epoll + idle thread", "echo-raw", &["--workers", "1"]);
pub const TOKIO: Variant = Variant::rival("tokio 1 thread", "echo-tokio", &[]);
pub const TOKIO_TWO: Variant = Variant::rival("tokio 2 workers", "echo-tokio", &["--workers", "2"]);
pub const MAY: Variant = Variant::rival("may 1 worker", "echo-may", &["--workers", "1"]);
pub const MAY_TWO: Variant = Variant::rival("may 2 workers", "echo-may", &["--workers", "2"]);
pub const THREADS: Variant = Variant::rival("OS threads", "echo-threads", &[]);
pub const GREEN: Variant = Variant::green("green 1 hub", "echo", &[], ONE_HUB);
pub const GREEN_TWO: Variant = Variant::green("green 2 hubs", "echo", &[], TWO_HUBS);
pub const GO: Variant = Variant::go("Go 1 core", "echo-go", ONE_PROC);
pub const GO_TWO: Variant = Variant::go("Go 2 cores", "echo-go", TWO_PROCS);
pub const GREEN_GUARDED: Variant = Variant::green(
    "green 1 hub + timeouts",
    "echo",
    &["--read-timeout", "30"],
    ONE_HUB,
);

/// Before each measurement, to bring the caches back to the one that is next.
pub const WARM_UP: Duration = Duration::from_millis(50);

pub const SCENARIO: Scenario = Scenario {
    name: "echo-cost",
    about: "Server CPU for one 64-byte echo request, closed loop, server and generator on a core each",
    case_unit: "connections",
    cases: |options| connections(options, &[1, 64, 1000]),
    variants: &[
        RAW,
        RAW_BESIDE,
        GREEN,
        GREEN_GUARDED,
        GREEN_TWO,
        TOKIO,
        Variant::rival(
            "tokio 1 thread + timeouts",
            "echo-tokio",
            &["--read-timeout", "30"],
        ),
        TOKIO_TWO,
        MAY,
        GO,
        THREADS,
    ],
    metrics: &[
        Metric {
            name: "CPU",
            unit: "µs/request",
            better: Better::Less,
            compared: true,
        },
        Metric {
            name: "throughput",
            unit: "requests/s",
            better: Better::More,
            compared: true,
        },
        Metric {
            name: "other programs",
            unit: "cores",
            better: Better::Less,
            compared: false,
        },
    ],
    targets: &[
        to("green 1 hub", "raw epoll", 64, 1.02),
        to("green 1 hub", "tokio 1 thread", 64, 1.00),
        to("green 1 hub", "may 1 worker", 64, 0.90),
        to("green 1 hub", "Go 1 core", 64, 0.80),
        to("green 1 hub", "raw epoll", 1000, 1.08),
        to("green 1 hub", "tokio 1 thread", 1000, 1.00),
        to("green 1 hub", "may 1 worker", 1000, 0.85),
        to("green 1 hub", "Go 1 core", 1000, 0.80),
        to("green 1 hub + timeouts", "green 1 hub", 64, 1.02),
        to("green 1 hub + timeouts", "green 1 hub", 1000, 1.02),
    ],
    prepare: nothing_to_prepare,
    start,
};

const fn to(variant: &'static str, rival: &'static str, case: usize, at_most: f64) -> Target {
    Target {
        variant,
        rival: Some(rival),
        metric: "CPU",
        case,
        bound: Bound::AtMost(at_most),
    }
}

/// The numbers of connections asked for on the command line, or the usual ones.
pub fn connections(options: &Options, usual: &[usize]) -> Vec<usize> {
    options
        .connections
        .clone()
        .unwrap_or_else(|| usual.to_vec())
}

fn start<'a>(run: &Run<'a>) -> io::Result<Measurement<'a>> {
    let bench = run.bench;
    let mut server = bench.start(run.variant, Cores::Pinned)?;
    let load = bench.load(server.listening()?, run.case, Cores::Pinned)?;
    Ok(measure(bench, server, load))
}

/// Asks `server` through `load`, and takes what [`SCENARIO`]'s metrics name.
pub fn measure<'a>(bench: &'a Bench<'a>, server: Running, mut load: Load) -> Measurement<'a> {
    Box::new(move || {
        load.closed(WARM_UP)?;
        let (server_before, load_before) = (server.usage()?, load.usage()?);
        let answer = load.closed(bench.options.time)?;
        let used = server.usage()? - server_before;
        let load_used = load.usage()? - load_before;
        let (requests, seconds) = (answer["requests"], answer["seconds"]);
        let others = (used.machine_ns - used.cpu_ns - load_used.cpu_ns).max(0.0);
        Ok(vec![
            used.cpu_ns / 1e3 / requests,
            requests / seconds,
            others / 1e9 / seconds,
        ])
    })
}
