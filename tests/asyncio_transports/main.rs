//! `green::asyncio`'s transports and protocols.

#[path = "../peer_close/certs.rs"]
mod certs;
#[path = "../util/mod.rs"]
mod util;

mod datagram;
mod flow;
mod plain;
mod recorder;
mod server;
mod tls;
mod upgrade;
