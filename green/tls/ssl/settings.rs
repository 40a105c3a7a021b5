//! What can be set of a context, in no library's form.

use super::certificate::Certificate;
use super::facts::TlsVersion;

/// What a context is for, named by whom it authenticates, as in Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// For clients, which authenticate servers.
    ServerAuth,
    /// For servers, which may authenticate clients.
    ClientAuth,
}

/// Whether the peer must show a certificate that can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyMode {
    /// Any certificate or none will do. Python's `CERT_NONE`. A client in this mode may be talking to anybody.
    None,
    /// A server asks for a certificate and checks the one that it gets. For a client the same as `Required`. Python's `CERT_OPTIONAL`.
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
