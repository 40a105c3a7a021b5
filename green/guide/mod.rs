//! Long pages.
//!
//! | page | about |
//! |---|---|
//! | [`porting`] | from `std::` to `green::`, and what still blocks then |
//! | `web` (features `http-client`, `json`, `tower`, `websocket`) | coming from Flask, net/http or axum |
//! | [`production`] | from one process to many machines |
//! | [`lints`] | the `std::` that was forgotten, found by clippy |
//! | [`crates`] | crates that work, how they do, and which do not |
//! | [`unmodified_crates`] | crates made green by their source, or by link |
//! | [`std_table`] | what differs from std, item by item |
//! | [`coming_from`] | coming from eventlet, gevent or asyncio |
//! | [`soundness`] | what is guaranteed, what is shared, what to keep away from |
//! | [`peer_close`] | what each call returns when the peer goes away |
//! | [`debugging`] | gdb, core files, valgrind, perf, tracing |
//! | `simulation` (feature `sim`) | a program whose clock, network and order one seed decides |
//! | [`what_we_tried`] | what was tried to break green, and what it found |
//!
//! There is no code here; the examples compile and run with the tests.

#[doc = include_str!("porting.md")]
pub mod porting {}

#[cfg(all(
    feature = "http-client",
    feature = "json",
    feature = "tower",
    feature = "websocket"
))]
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
