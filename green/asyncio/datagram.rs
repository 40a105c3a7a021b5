//! Datagram endpoints: a socket that sends without waiting, and calls a protocol with what it receives.

mod endpoint;
mod transport;

pub(super) use endpoint::{Callbacks, Endpoint};
pub use transport::DatagramTransport;
