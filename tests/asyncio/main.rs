//! `green::asyncio`: what is in call and return, and what calls back.

mod first_use;
mod futures;
mod kills;
mod reader;
mod sock;
mod streams;
mod transports;
