//! `green::asyncio`'s transports and protocols.

#[path = "../util/mod.rs"]
mod util;

mod plain;
mod recorder;
