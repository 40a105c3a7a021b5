//! The TLS servers of the rivals, all on native-tls.

use std::io;

pub mod threads;
pub mod tokio;

/// native-tls as it comes: TLS 1.2 for servers.
fn acceptor() -> io::Result<native_tls::TlsAcceptor> {
    let identity = program::identity::make()?;
    let (certificate, key) = (identity.certificate.as_bytes(), identity.key.as_bytes());
    native_tls::Identity::from_pkcs8(certificate, key)
        .and_then(native_tls::TlsAcceptor::new)
        .map_err(io::Error::other)
}
