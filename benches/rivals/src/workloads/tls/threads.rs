//! TLS on an OS thread a connection: native-tls on blocking sockets.

use std::io;
use std::net::TcpStream;
use std::{net, thread};

use native_tls::TlsStream;

#[path = "../../../blocking/tls.rs"]
mod tls;

pub use tls::{bulk, echo};

fn acceptor() -> io::Result<impl Fn(TcpStream) -> io::Result<TlsStream<TcpStream>> + Clone> {
    let acceptor = super::acceptor()?;
    Ok(move |stream| acceptor.accept(stream).map_err(io::Error::other))
}

/// Sends close_notify.
fn finish(mut tls: TlsStream<TcpStream>) -> io::Result<()> {
    tls.shutdown()
}
