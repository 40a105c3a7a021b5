//! `green::asyncio`'s transports and protocols.

#[path = "../peer_close/certs.rs"]
mod certs;
#[path = "../example_program/mod.rs"]
mod example_program;
#[path = "../util/mod.rs"]
mod util;

mod datagram;
mod ends;
mod flow;
mod interop;
mod kinds;
mod plain;
mod program;
mod recorder;
mod server;
mod tls;
mod upgrade;
