//! Long pages: porting a program, coming from Flask, net/http or axum, from one process to many machines, what clippy finds in one, crates that work, crates made green by their source, std item by item, coming from eventlet, gevent or asyncio, soundness, what happens when the peer goes away, debuggers, and what was tried.
//!
//! There is no code here; the examples compile and run with the tests.

#[doc = include_str!("porting.md")]
pub mod porting {}

#[cfg(all(feature = "http-client", feature = "tower", feature = "websocket"))]
#[doc = include_str!("web.md")]
pub mod web {}

#[doc = include_str!("production.md")]
pub mod production {}

#[doc = include_str!("crates.md")]
pub mod crates {}

#[doc = include_str!("unmodified_crates.md")]
pub mod unmodified_crates {}

#[doc = include_str!("std_table.md")]
pub mod std_table {}

#[doc = include_str!("coming_from.md")]
pub mod coming_from {}

#[doc = include_str!("soundness.md")]
pub mod soundness {}

#[doc = include_str!("peer_close.md")]
pub mod peer_close {}

#[doc = include_str!("debugging.md")]
pub mod debugging {}

#[doc = include_str!("what_we_tried.md")]
pub mod what_we_tried {}

#[doc = include_str!("lints.md")]
#[doc = include_str!("clippy.toml")]
#[doc = "```"]
pub mod lints {}

#[cfg(feature = "sim")]
#[doc = include_str!("simulation.md")]
pub mod simulation {}
