//! Clients: settings, and connecting.

use std::fmt;
use std::io::{Read, Write};
use std::result;

use super::stream::{self, HandshakeError, TlsStream};
use super::{Certificate, Identity, Protocol, Result};
use crate::ssl::SslPipe;

/// Settings of a [`TlsConnector`]: see native-tls's type of the same name.
///
/// ```
/// use green::native_tls::{Certificate, Identity, TlsAcceptor, TlsConnector};
/// use green::os::unix::net::UnixStream;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let acceptor = TlsAcceptor::new(Identity::from_pkcs8(certificate.as_bytes(), key.as_bytes())?)?;
/// # let (near, far) = UnixStream::pair()?;
/// # let served = green::thread::spawn(move || acceptor.accept(far).is_ok());
/// // Trusts our own authority, and nobody else.
/// let connector = TlsConnector::builder()
///     .disable_built_in_roots(true)
///     .add_root_certificate(Certificate::from_pem(certificate.as_bytes())?)
///     .build()?;
/// let stream = connector.connect("localhost", near)?;
/// # drop(stream);
/// # assert!(served.join().unwrap());
/// # Ok(())
/// # }
/// ```
pub struct TlsConnectorBuilder(native_tls::TlsConnectorBuilder);

impl TlsConnectorBuilder {
    /// Shows `identity` to servers that ask for a certificate.
    pub fn identity(&mut self, identity: Identity) -> &mut Self {
        self.0.identity(identity);
        self
    }

    /// The oldest protocol version to accept; `None` is the library's own choice. TLS 1.2 by default.
    pub fn min_protocol_version(&mut self, protocol: Option<Protocol>) -> &mut Self {
        self.0.min_protocol_version(protocol);
        self
    }

    /// The newest protocol version to accept; `None`, the default, is the newest there is.
    pub fn max_protocol_version(&mut self, protocol: Option<Protocol>) -> &mut Self {
        self.0.max_protocol_version(protocol);
        self
    }

    /// Trusts certificates that `certificate` has issued, as well as those that the system trusts.
    pub fn add_root_certificate(&mut self, certificate: Certificate) -> &mut Self {
        self.0.add_root_certificate(certificate);
        self
    }

    /// Whether the certificates that the system trusts are left out.
    pub fn disable_built_in_roots(&mut self, disable: bool) -> &mut Self {
        self.0.disable_built_in_roots(disable);
        self
    }

    /// The application protocols to offer.
    pub fn request_alpns(&mut self, protocols: &[&str]) -> &mut Self {
        self.0.request_alpns(protocols);
        self
    }

    /// Whether any certificate will do: then anybody can pose as the server.
    pub fn danger_accept_invalid_certs(&mut self, accept: bool) -> &mut Self {
        self.0.danger_accept_invalid_certs(accept);
        self
    }

    /// Whether the server is told the name that it is asked for; true by default.
    pub fn use_sni(&mut self, use_sni: bool) -> &mut Self {
        self.0.use_sni(use_sni);
        self
    }

    /// Whether a certificate for another host will do: then the owner of any valid one can pose as the server.
    pub fn danger_accept_invalid_hostnames(&mut self, accept: bool) -> &mut Self {
        self.0.danger_accept_invalid_hostnames(accept);
        self
    }

    /// A connector with these settings.
    ///
    /// # Errors
    ///
    /// If the TLS library does not take them.
    pub fn build(&self) -> Result<TlsConnector> {
        Ok(TlsConnector(self.0.build()?))
    }
}

impl fmt::Debug for TlsConnectorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnectorBuilder")
            .finish_non_exhaustive()
    }
}

/// Makes TLS connections as a client.
///
/// ```
/// use green::native_tls::{Identity, TlsAcceptor, TlsConnector};
/// use green::os::unix::net::UnixStream;
/// use green::ssl::{Reason, SslError};
/// use green::thread;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let acceptor = TlsAcceptor::new(Identity::from_pkcs8(certificate.as_bytes(), key.as_bytes())?)?;
/// let (near, far) = UnixStream::pair()?;
/// let served = thread::spawn(move || acceptor.accept(far).is_ok());
///
/// // The system vouches for nobody who made their certificate themselves.
/// let connector = TlsConnector::new()?;
/// let error = match connector.connect("localhost", near).unwrap_err() {
///     green::native_tls::HandshakeError::Failure(error) => error.into_io(),
///     green::native_tls::HandshakeError::WouldBlock(_) => unreachable!("the stream blocks"),
/// };
/// assert_eq!(SslError::of(&error).unwrap().reason(), Reason::UnknownIssuer);
/// assert!(!served.join().unwrap());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TlsConnector(native_tls::TlsConnector);

impl TlsConnector {
    /// A connector with the default settings.
    ///
    /// # Errors
    ///
    /// If the TLS library cannot start.
    pub fn new() -> Result<TlsConnector> {
        Self::builder().build()
    }

    /// Settings to change.
    pub fn builder() -> TlsConnectorBuilder {
        TlsConnectorBuilder(native_tls::TlsConnector::builder())
    }

    /// Does a handshake with the server at the other end of `stream`, which must prove that it is `domain`. Waits as
    /// `stream` does.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::WouldBlock`] if `stream` says so (it is non-blocking, or its timeout passed): the handshake can
    /// go on. [`HandshakeError::Failure`] otherwise.
    pub fn connect<S: Read + Write>(
        &self,
        domain: &str,
        stream: S,
    ) -> result::Result<TlsStream<S>, HandshakeError<S>> {
        stream::handshake(SslPipe::new(&self.0, false, Some(domain), None), stream)
    }
}
