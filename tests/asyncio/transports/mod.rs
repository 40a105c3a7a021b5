//! `green::asyncio`'s transports and protocols.

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
