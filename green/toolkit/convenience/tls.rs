//! Servers and listeners that speak TLS.

use std::io;

use greenhub::greenio::{GreenSocket, SockAddr};

use super::Accept;
use crate::ssl::{GreenSslSocket, SslContext, SslListener};

/// A listener whose connections speak TLS, for [`serve`](super::serve). Connected sockets are wrapped by
/// [`SslContext::connect`] and [`SslContext::accept`].
///
/// ```
/// use std::io::{Read, Write};
///
/// use green::convenience::StopServe;
/// use green::ssl::{Purpose, SslContext, VerifyLocation};
///
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let context = SslContext::create_default_context(Purpose::ClientAuth)?;
/// context.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
/// let listener = green::listen("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let listener = green::wrap_ssl(listener, &context);
/// let server = green::thread::spawn(|| {
///     let handler = |mut stream: green::ssl::GreenSslSocket, _| {
///         let _ = stream.write_all(b"secret");
///         Err(StopServe::new())
///     };
///     green::serve(listener, handler, 10)
/// });
///
/// let trust = SslContext::new(Purpose::ServerAuth)?;
/// trust.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
/// let mut client = trust.connect(green::connect(address)?, "localhost")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert_eq!(answer, "secret");
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
