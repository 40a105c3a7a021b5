//! Servers and listeners that speak TLS.

use std::io;

use greenhub::greenio::{GreenSocket, SockAddr};

use super::Accept;
use crate::ssl::{GreenSslSocket, SslContext, SslListener};

/// A listener whose connections speak TLS, for [`serve`](super::serve). Connected sockets are wrapped by
/// [`SslContext::connect`] and [`SslContext::accept`].
///
/// The handler is given the peer's address as the system has it, since the listener may be of any family:
/// [`as_socket`](SockAddr::as_socket) is the address and port of one on the internet.
///
/// ```
/// use std::io::{Read, Write};
///
/// use green::convenience::StopServe;
/// use green::greenio::SockAddr;
/// use green::ssl::{GreenSslSocket, Purpose, SslContext, VerifyLocation};
///
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let context = SslContext::create_default_context(Purpose::ClientAuth)?;
/// context.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
/// let listener = green::listen("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let listener = green::wrap_ssl(listener, &context);
/// let server = green::thread::spawn(|| {
///     let handler = |mut stream: GreenSslSocket, peer: SockAddr| {
///         let peer = peer.as_socket().expect("a TCP listener");
///         let _ = write!(stream, "a secret for {peer}");
///         Err(StopServe::new())
///     };
///     green::serve(listener, handler, 10)
/// });
///
/// let trust = SslContext::new(Purpose::ServerAuth)?;
/// trust.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
/// let client = green::connect(address)?;
/// let us = client.local_addr()?;
/// let mut client = trust.connect(client, "localhost")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert_eq!(answer, format!("a secret for {us}"));
/// server.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wrap_ssl(listener: impl Into<GreenSocket>, context: &SslContext) -> SslListener {
    context.wrap_listener(listener)
}

impl Accept for SslListener {
    type Stream = GreenSslSocket;
    type Address = SockAddr;

    fn accept(&self) -> io::Result<(GreenSslSocket, SockAddr)> {
        SslListener::accept(self)
    }
}
