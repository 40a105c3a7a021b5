//! What can be measured: a file each.

mod crowd;
mod echo;
mod echo_calls;
mod echo_idle;
mod echo_instructions;
mod echo_latency;
mod echo_unpinned;
mod http;
mod http_idle;
mod switches;
mod tls_bulk;
mod tls_calls;
mod tls_echo;
mod tls_handshake;
mod tls_idle;

use std::io;

use crate::scenario::Scenario;

/// Every scenario, in the order in which `all` runs them.
pub const ALL: &[&Scenario] = &[
    &echo::SCENARIO,
    &echo_unpinned::SCENARIO,
    &echo_latency::SCENARIO,
    &echo_calls::SCENARIO,
    &echo_instructions::SCENARIO,
    &echo_idle::SCENARIO,
    &http::COST,
    &http::COST_OF_2,
    &http::INSTRUCTIONS,
    &http_idle::SCENARIO,
    &tls_echo::SCENARIO,
    &tls_bulk::UP,
    &tls_bulk::DOWN,
    &tls_handshake::SCENARIO,
    &tls_calls::REQUEST,
    &tls_calls::CONNECTION,
    &tls_idle::SCENARIO,
    &switches::YIELD_NOW,
    &switches::SPAWN_JOIN,
    &switches::CHANNEL,
    &switches::MUTEX,
    &crowd::SCENARIO,
];

/// The scenarios of these names; `echo` names all those that begin with `echo-`.
pub fn named(names: &[String]) -> io::Result<Vec<&'static Scenario>> {
    let mut chosen = Vec::new();
    for name in names {
        let found = ALL.iter().filter(|scenario| {
            let family = scenario.name.split('-').next();
            name == "all" || scenario.name == name || family == Some(name)
        });
        let before = chosen.len();
        chosen.extend(found);
        if chosen.len() == before {
            let message = format!("no scenario {name:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
    }
    Ok(chosen)
}
