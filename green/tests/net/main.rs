//! `green::net`: std's sockets, on OS threads and on green threads.

mod tcp;
mod udp;
mod unix;
