//! What a small page over HTTP costs the server, on connections that stay
//! open, beside hyper on tokio.

use std::io;

use super::echo;
use super::echo_instructions;
use crate::process::Talk;
use crate::scenario::{
    Bound, Cores, Measurement, ONE_HUB, ONE_PROC, Run, Scenario, TWO_HUBS, Target, Variant,
    nothing_to_prepare,
};

pub const HYPER: Variant = Variant::rival("hyper 1 thread", "http-hyper", &[]);
pub const THREADS: Variant = Variant::rival("OS threads", "http-threads", &[]);
pub const GREEN: Variant = Variant::green("green 1 hub", "http", &[], ONE_HUB);
pub const SERVER: Variant = Variant::green("green::http 1 hub", "http-server", &[], ONE_HUB);

/// hyper over green streams, as it stands on tokio: the async face alone.
pub const ASYNC: Variant = Variant::green("hyper on green 1 hub", "http-async", &[], ONE_HUB);
pub const NGINX: Variant = Variant::nginx("nginx 1 process", "http-nginx");
pub const GO: Variant = Variant::go("Go net/http 1 core", "http-go", ONE_PROC);

pub const COST: Scenario = Scenario {
    name: "http-cost",
    about: "Server CPU for one small page over HTTP/1.1, keep-alive, closed loop, \
            server and generator on a core each",
    case_unit: "connections",
    cases: |options| echo::connections(options, &[64, 1000]),
    variants: &[
        HYPER,
        ASYNC,
        SERVER,
        GREEN,
        Variant::green("green 2 hubs", "http", &[], TWO_HUBS),
        THREADS,
        NGINX,
        GO,
    ],
    metrics: echo::SCENARIO.metrics,
    targets: &[
        to(GREEN.name, HYPER.name, 64, 0.80),
        to(GREEN.name, HYPER.name, 1000, 0.70),
        to(ASYNC.name, HYPER.name, 64, 1.00),
        to(ASYNC.name, HYPER.name, 1000, 1.00),
        to(SERVER.name, HYPER.name, 64, 1.05),
        to(SERVER.name, HYPER.name, 1000, 1.05),
    ],
    prepare: nothing_to_prepare,
    start: |run| start(run, Talk::Http),
};

const HYPER_2: Variant = Variant::rival("hyper 1 thread", "http2-hyper", &[]);
const ASYNC_2: Variant = Variant::green("hyper on green 1 hub", "http2-async", &[], ONE_HUB);

/// Go's net/http speaks HTTP/2 in the clear from Go 1.24 on alone.
pub const COST_OF_2: Scenario = Scenario {
    name: "http2-cost",
    about: "Server CPU for one small page over HTTP/2 in the clear, ten requests at once on every \
            connection, closed loop, server and generator on a core each",
    case_unit: "connections",
    cases: |options| echo::connections(options, &[4, 32]),
    variants: &[
        HYPER_2,
        ASYNC_2,
        SERVER,
        Variant::nginx(NGINX.name, "http2-nginx"),
    ],
    metrics: echo::SCENARIO.metrics,
    targets: &[
        to(ASYNC_2.name, HYPER_2.name, 4, 0.95),
        to(ASYNC_2.name, HYPER_2.name, 32, 0.95),
    ],
    prepare: nothing_to_prepare,
    start: |run| start(run, Talk::Http2),
};

pub const INSTRUCTIONS: Scenario = Scenario {
    name: "http-instructions",
    about: "Instructions of the server outside the kernel for one small page over HTTP/1.1, \
            counted by callgrind",
    case_unit: "connections",
    cases: |options| echo::connections(options, &[64]),
    variants: &[HYPER, ASYNC, SERVER, GREEN, THREADS],
    metrics: echo_instructions::SCENARIO.metrics,
    targets: &[],
    prepare: nothing_to_prepare,
    start: |run| echo_instructions::start(run, Talk::Http),
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

fn start<'a>(run: &Run<'a>, talk: Talk) -> io::Result<Measurement<'a>> {
    let bench = run.bench;
    let mut server = bench.start(run.variant, Cores::Pinned)?;
    let address = server.listening()?;
    let load = bench.load_talking(talk, address, run.case, Cores::Pinned)?;
    Ok(echo::measure(bench, server, load))
}
