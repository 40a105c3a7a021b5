//! TLS in blocking style on green threads.

use std::io;

use green::net::{self, TcpStream};
use green::ssl::{GreenSslSocket, Purpose, SslContext};
use green::thread;
use program::Arguments;

#[path = "../../blocking/tls.rs"]
mod blocking;

pub use blocking::bulk;

/// Accepts on a green thread: an OS thread would have to wake the hub for every connection.
pub fn echo(arguments: &Arguments) -> io::Result<()> {
    let arguments = arguments.clone();
    green::run(move || blocking::echo(&arguments))
}

fn acceptor() -> io::Result<impl Fn(TcpStream) -> io::Result<GreenSslSocket> + Clone> {
    let identity = program::identity::make()?;
    let (certificate, key) = (identity.certificate.as_bytes(), identity.key.as_bytes());
    let context = SslContext::new(Purpose::ClientAuth)?;
    context.load_cert_chain_bytes(certificate, key, None)?;
    Ok(move |stream| context.accept(stream))
}

/// The drop sends close_notify.
fn finish(tls: GreenSslSocket) -> io::Result<()> {
    drop(tls);
    Ok(())
}
