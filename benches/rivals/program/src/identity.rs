//! What a TLS server shows: a self-signed P-256 certificate, made at its start.

use std::io;

/// A certificate and its key, both in PEM.
#[derive(Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key, in PKCS#8.
    pub key: String,
}

/// A new one.
///
/// # Errors
///
/// Whatever making it fails with.
pub fn make() -> io::Result<Identity> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.map_err(io::Error::other)?;
    Ok(Identity {
        certificate: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
    })
}
