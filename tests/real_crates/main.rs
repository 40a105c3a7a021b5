//! Crates that know nothing of green threads, over green streams, against real peers and two hundred at once on one hub.

#[allow(dead_code, reason = "each test program needs some of the helpers")]
#[path = "../util/child.rs"]
mod child;
mod crowd;
#[path = "../example_program/mod.rs"]
mod example_program;
mod http;
mod redis;
mod tls;
#[path = "../util/mod.rs"]
mod util;
mod web_socket;
