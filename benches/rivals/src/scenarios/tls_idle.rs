//! What an idle TLS connection costs: memory.

use super::{echo, echo_idle, tls_echo};
use crate::process::Talk;
use crate::scenario::{Bound, Scenario, Target};

const CONNECTIONS: usize = 1000;

pub const SCENARIO: Scenario = Scenario {
    name: "tls-idle",
    about: "Resident memory that each TLS 1.2 connection adds to the server once it has served one \
            request, and how often the idle server wakes; 1 KiB read buffers",
    cases: |options| echo::connections(options, &[CONNECTIONS]),
    variants: &[tls_echo::TOKIO, tls_echo::GREEN, tls_echo::THREADS],
    targets: &[
        to("resident", None, 22.0),
        to("resident", Some(tls_echo::TOKIO.name), 2.3),
        to("resident", Some(tls_echo::THREADS.name), 0.65),
        to("wake-ups", None, 0.0),
    ],
    start: |run| echo_idle::start(run, Talk::Tls),
    ..echo_idle::SCENARIO
};

const fn to(metric: &'static str, rival: Option<&'static str>, at_most: f64) -> Target {
    Target {
        variant: tls_echo::GREEN.name,
        rival,
        metric,
        case: CONNECTIONS,
        bound: Bound::AtMost(at_most),
    }
}
