//! Servers: settings, and accepting.

use std::fmt;
use std::io::{Read, Write};
use std::result;

use super::stream::{self, HandshakeError, TlsStream};
use super::{Identity, Protocol, Result};
use crate::ssl::SslPipe;

/// Settings of a [`TlsAcceptor`]: see native-tls's type of the same name.
pub struct TlsAcceptorBuilder(native_tls::TlsAcceptorBuilder);

impl TlsAcceptorBuilder {
    /// The oldest protocol to speak; `None` is the library's own choice. TLS 1.2 by default.
    pub fn min_protocol_version(&mut self, protocol: Option<Protocol>) -> &mut Self {
        self.0.min_protocol_version(protocol);
        self
    }

    /// The newest protocol to speak; `None`, the default, is the newest there is, which with OpenSSL is TLS 1.2.
    pub fn max_protocol_version(&mut self, protocol: Option<Protocol>) -> &mut Self {
        self.0.max_protocol_version(protocol);
        self
    }

    /// The application protocols to choose from.
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
/// ```no_run
/// use green::native_tls::{Identity, TlsAcceptor};
/// use green::net::TcpListener;
/// use green::thread;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let identity = Identity::from_pkcs12(&std::fs::read("identity.pfx")?, "password")?;
/// let acceptor = TlsAcceptor::new(identity)?;
/// for stream in TcpListener::bind("127.0.0.1:8443")?.incoming() {
///     let (acceptor, stream) = (acceptor.clone(), stream?);
///     // In a green thread of its own, so that a slow client delays nobody else.
///     thread::spawn(move || acceptor.accept(stream).map(drop));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TlsAcceptor(native_tls::TlsAcceptor);

impl TlsAcceptor {
    /// An acceptor with the default settings that shows `identity`.
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
