//! The engine on OpenSSL.

#[cfg(test)]
pub(crate) use connection::OpenSslEngine;
pub(crate) use settings::{factory, parse};

mod connection;
mod factory;
mod server_name;
mod session;
mod settings;
mod versions;
