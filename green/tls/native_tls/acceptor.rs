//! Servers: settings, and accepting.

use std::fmt;
use std::io::{Read, Write};
use std::result;

use super::stream::{self, HandshakeError, TlsStream};
use super::{Identity, Protocol, Result};
use crate::ssl::SslPipe;

/// Settings of a [`TlsAcceptor`]: see native-tls's type of the same name.
///
/// ```
/// use green::native_tls::{Identity, Protocol, TlsAcceptor};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let identity = Identity::from_pkcs8(certificate.as_bytes(), key.as_bytes())?;
/// let acceptor = TlsAcceptor::builder(identity)
///     .min_protocol_version(Some(Protocol::Tlsv12))
///     .accept_alpn(&["http/1.1"])
///     .build()?;
/// # drop(acceptor);
/// # Ok(())
/// # }
/// ```
pub struct TlsAcceptorBuilder(native_tls::TlsAcceptorBuilder);

impl TlsAcceptorBuilder {
    /// The oldest protocol version to accept; `None` is the library's own choice. TLS 1.2 by default.
    pub fn min_protocol_version(&mut self, protocol: Option<Protocol>) -> &mut Self {
        self.0.min_protocol_version(protocol);
        self
    }

    /// The newest protocol version to accept; `None`, the default, is the newest there is, which with OpenSSL is
    /// TLS 1.2.
    pub fn max_protocol_version(&mut self, protocol: Option<Protocol>) -> &mut Self {
        self.0.max_protocol_version(protocol);
        self
    }

    /// The application protocols to choose from. With a client that offers none of them the connection goes on without
    /// one, as native-tls has it; a server of [`ssl`](crate::ssl) refuses it, as RFC 7301 says.
    pub fn accept_alpn(&mut self, protocols: &[impl AsRef<str>]) -> &mut Self {
        self.0.accept_alpn(protocols);
        self
    }

    /// An acceptor with these settings.
    ///
    /// # Errors
    ///
    /// If the TLS library does not take them.
    pub fn build(&self) -> Result<TlsAcceptor> {
        Ok(TlsAcceptor(self.0.build()?))
    }
}

impl fmt::Debug for TlsAcceptorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptorBuilder").finish_non_exhaustive()
    }
}

/// Takes TLS connections as a server.
///
/// ```
/// use std::io::{Read, Write};
///
/// use green::native_tls::{Certificate, Identity, TlsAcceptor, TlsConnector};
/// use green::net::{TcpListener, TcpStream};
/// use green::thread;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let identity = Identity::from_pkcs8(certificate.as_bytes(), key.as_bytes())?;
/// let acceptor = TlsAcceptor::new(identity)?;
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// thread::spawn(move || {
///     for stream in listener.incoming() {
///         // A failed accept is no reason to stop.
///         let Ok(stream) = stream else { continue };
///         let acceptor = acceptor.clone();
///         // In a green thread of its own, so that a slow client delays nobody else.
///         thread::spawn(move || {
///             let mut stream = acceptor.accept(stream).unwrap();
///             stream.write_all(b"welcome").unwrap();
///             stream.shutdown().unwrap();
///         });
///     }
/// });
///
/// let connector = TlsConnector::builder()
///     .add_root_certificate(Certificate::from_pem(certificate.as_bytes())?)
///     .build()?;
/// let mut stream = connector.connect("localhost", TcpStream::connect(address)?)?;
/// let mut answer = Vec::new();
/// stream.read_to_end(&mut answer)?;
/// assert_eq!(answer, b"welcome");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TlsAcceptor(native_tls::TlsAcceptor);

impl TlsAcceptor {
    /// An acceptor with the default settings, whose certificate and key are `identity`.
    ///
    /// # Errors
    ///
    /// If the TLS library does not take the identity.
    pub fn new(identity: Identity) -> Result<TlsAcceptor> {
        Self::builder(identity).build()
    }

    /// Settings to change.
    pub fn builder(identity: Identity) -> TlsAcceptorBuilder {
        TlsAcceptorBuilder(native_tls::TlsAcceptor::builder(identity))
    }

    /// Does a handshake with the client at the other end of `stream`. Waits as `stream` does.
    ///
    /// # Errors
    ///
    /// As [`TlsConnector::connect`](super::TlsConnector::connect).
    pub fn accept<S: Read + Write>(
        &self,
        stream: S,
    ) -> result::Result<TlsStream<S>, HandshakeError<S>> {
        stream::handshake(SslPipe::new(&self.0, true, None, None), stream)
    }
}

impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptor").finish_non_exhaustive()
    }
}
