//! What an idle connection of HTTP/1.1 costs: memory.

use super::{echo, echo_idle, http};
use crate::process::Talk;
use crate::scenario::{Bound, Scenario, Target};

const CONNECTIONS: usize = 4000;

pub const SCENARIO: Scenario = Scenario {
    name: "http-idle",
    about: "Resident memory that each connection adds to the server once it has served one small \
            page over HTTP/1.1, and how often the idle server wakes",
    cases: |options| echo::connections(options, &[CONNECTIONS]),
    variants: &[
        http::HYPER,
        http::ASYNC,
        http::SERVER,
        http::GREEN,
        http::THREADS,
        http::NGINX,
        http::GO,
    ],
    targets: &[
        to("resident", Some(http::HYPER.name), 1.05),
        to("wake-ups", None, 0.0),
    ],
    start: |run| echo_idle::start(run, Talk::Http),
    ..echo_idle::SCENARIO
};

const fn to(metric: &'static str, rival: Option<&'static str>, at_most: f64) -> Target {
    Target {
        variant: http::SERVER.name,
        rival,
        metric,
        case: CONNECTIONS,
        bound: Bound::AtMost(at_most),
    }
}
