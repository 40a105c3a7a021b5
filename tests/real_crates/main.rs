//! Crates that know nothing of green threads, over green streams, against real peers and two hundred at once on one hub.

mod crowd;
mod databases;
mod http;
mod redis;
mod tls;
mod web_socket;
