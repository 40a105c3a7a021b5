//! `GreenSocket`, which all sockets stand on.

mod close;
mod kinds;
mod linger;
mod waits;
