//! System calls that a TLS server makes: for one echo request, and for a whole
//! connection.

use std::io;

use super::{echo, echo_calls, tls_echo};
use crate::process::Talk;
use crate::scenario::{Better, Bound, Cores, Measurement, Metric, Run, Scenario, Target};
use crate::strace;

pub const REQUEST: Scenario = Scenario {
    name: "tls-calls",
    about: "System calls of the server for one 64-byte echo request over TLS, counted by strace",
    variants: &[tls_echo::TOKIO, tls_echo::GREEN, tls_echo::THREADS],
    targets: &[
        to("reads", 1),
        to("writes", 1),
        to("reads", 64),
        to("writes", 64),
    ],
    start: |run| start(run, Talk::Tls, 200 * run.case.max(10) as u64),
    ..echo_calls::SCENARIO
};

pub const CONNECTION: Scenario = Scenario {
    name: "tls-handshake-calls",
    about: "System calls of the server for a whole TLS connection, counted by strace: accept, \
            full TLS 1.2 handshake, one 64-byte echo, close_notify each way, close",
    case_unit: "at once",
    cases: |options| echo::connections(options, &[1]),
    metrics: &[
        per_connection("system calls"),
        per_connection("reads"),
        per_connection("writes"),
        per_connection("polls"),
        per_connection("others"),
    ],
    // Two flights, the echo, close_notify.
    targets: &[Target {
        bound: Bound::AtMost(4.0),
        ..to("writes", 1)
    }],
    start: |run| start(run, Talk::Visits, 200),
    ..REQUEST
};

const fn per_connection(name: &'static str) -> Metric {
    Metric {
        name,
        unit: "a connection",
        better: Better::Less,
        compared: false,
    }
}

const fn to(metric: &'static str, case: usize) -> Target {
    // A call more in a hundred requests is a matter of the moment of counting.
    Target {
        variant: tls_echo::GREEN.name,
        rival: None,
        metric,
        case,
        bound: Bound::AtMost(1.01),
    }
}

fn start<'a>(run: &Run<'a>, talk: Talk, requests: u64) -> io::Result<Measurement<'a>> {
    let bench = run.bench;
    let mut server = bench.start(run.variant, Cores::Pinned)?;
    let mut load = bench.load_talking(talk, server.listening()?, run.case, Cores::Pinned)?;
    Ok(Box::new(move || {
        load.closed(echo::WARM_UP)?;
        let (calls, answer) = strace::count(&server, || load.count(requests))?;
        Ok(echo_calls::by_kind(&calls, answer["requests"]))
    }))
}
