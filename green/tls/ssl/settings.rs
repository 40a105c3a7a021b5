//! The settings of a context, independent of any TLS library.

use super::certificate::Certificate;
use super::facts::TlsVersion;

/// What a context is for, named by whom it authenticates, as in Python.
///
/// ```
/// use green::ssl::{Purpose, SslContext, VerifyMode};
///
/// let client = SslContext::create_default_context(Purpose::ServerAuth)?;
/// assert_eq!(client.verify_mode(), VerifyMode::Required);
/// assert!(client.check_hostname());
///
/// let server = SslContext::create_default_context(Purpose::ClientAuth)?;
/// assert_eq!(server.verify_mode(), VerifyMode::None);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// For clients, which authenticate servers.
    ServerAuth,
    /// For servers, which may authenticate clients.
    ClientAuth,
}

/// Whether the peer must show a certificate that can be trusted.
///
/// ```
/// use green::os::unix::net::UnixStream;
/// use green::ssl::{EngineKind, Purpose, Reason, SslContext, SslError, VerifyLocation, VerifyMode};
///
/// # fn main() -> std::io::Result<()> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let server = SslContext::with_engine(Purpose::ClientAuth, EngineKind::OpenSsl)?;
/// # server.load_cert_chain_bytes(certificate.as_bytes(), key.as_bytes(), None)?;
/// # let client = SslContext::with_engine(Purpose::ServerAuth, EngineKind::OpenSsl)?;
/// # client.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
/// # server.load_verify_locations(VerifyLocation::Bytes(certificate.as_bytes()))?;
/// // A server that lets in those alone who show a certificate.
/// server.set_verify_mode(VerifyMode::Required)?;
///
/// let (near, far) = UnixStream::pair()?;
/// let served = green::thread::spawn(move || server.accept(far)?.do_handshake());
/// # let _tls = client.connect(near, "localhost");
/// let error = served.join().unwrap().unwrap_err();
/// assert_eq!(SslError::of(&error).unwrap().reason(), Reason::CertificateMissing);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyMode {
    /// Any certificate or none will do. Python's `CERT_NONE`. A client in this mode may be talking to anybody.
    None,
    /// A server asks for a certificate and checks it if there is one. For a client the same as `Required`. Python's
    /// `CERT_OPTIONAL`.
    Optional,
    /// No certificate, or a bad one, fails the handshake. Python's `CERT_REQUIRED`.
    Required,
}

/// Whom we are: certificates, our own first, and the key to it, as they were given.
#[derive(Clone)]
pub(crate) enum Identity {
    Pem {
        chain: Vec<u8>,
        key: Vec<u8>,
        password: Option<String>,
    },
    Pkcs12 {
        der: Vec<u8>,
        password: String,
    },
}

/// All settings, in types of our own: each engine turns them into its own.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) purpose: Purpose,
    pub(crate) identity: Option<Identity>,
    pub(crate) default_roots: bool,
    pub(crate) roots: Vec<Certificate>,
    pub(crate) check_hostname: bool,
    pub(crate) verify_mode: VerifyMode,
    pub(crate) minimum_version: Option<TlsVersion>,
    pub(crate) maximum_version: Option<TlsVersion>,
    pub(crate) ciphers: Option<String>,
    pub(crate) alpn: Vec<Vec<u8>>,
}
