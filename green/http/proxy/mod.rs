//! A reverse proxy: requests that are passed on to another server.

mod failed;
mod handler;
mod headers;
mod tunnel;

pub use handler::ReverseProxy;
